// The page of the rig (lib/rig.mjs): asks for a command, does it, answers.
const engine = location.hash.slice(1);

const version = () => navigator.userAgent.match(/(?:Firefox|Chrome)\/[\d.]+/)?.[0];

async function perform({ module, name, values }) {
  try {
    const { [name]: call } = module ? await import(module) : { version };
    return { value: (await call(...values)) ?? null };
  } catch (error) {
    return { error: `${error}\n${error?.stack ?? ''}` };
  }
}

for (;;) {
  const command = await (await fetch(`/rig/next?${engine}`)).json();
  if (!command.name) continue;
  const body = JSON.stringify(await perform(command));
  await fetch(`/rig/answer?${engine}`, { method: 'POST', body });
}
