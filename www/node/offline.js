// The node's page without its relay: it opens, and says so.

const EVERY_MS = 10_000;

/** Has the pages' service worker keep what this page is made of, where there is one. */
export async function keep() {
  const workers = navigator.serviceWorker;
  const made = await workers?.register('/service-worker.js').catch(() => undefined);
  if (!made) return;
  const files = performance.getEntriesByType('resource').map(({ name }) => name);
  const { active } = await workers.ready;
  active.postMessage({ keep: [...new Set([location.origin + location.pathname, ...files])] });
}

/** Calls `changed(there)` whenever the relay is found to be reached, or not to be. */
export async function reachable(changed) {
  let timer;
  const look = async () => {
    clearTimeout(timer);
    // The service worker keeps out of this.
    const there = await fetch('', { method: 'HEAD', cache: 'no-store' }).then(() => true, () => false);
    changed(there);
    if (!there) timer = setTimeout(look, EVERY_MS);
  };
  for (const kind of ['online', 'offline']) addEventListener(kind, look);
  await look();
}
