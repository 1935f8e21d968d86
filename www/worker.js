// The worker that replays the log. Its name says which files the program is;
// the program sees that it is not in a page, and does the rest.
const [script, wasm] = self.name.split(' ');
const { default: init } = await import(new URL(script, self.location));
await init({ module_or_path: new URL(wasm, self.location) });
