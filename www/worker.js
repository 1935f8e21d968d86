// The worker that checks proofs and recomputes the log: crates/checker. What
// comes before it says that it is ready would be lost.
import init from './grid_checker.js';
await init({ module_or_path: new URL('grid_checker_bg.wasm', self.location) });
self.postMessage('"ready"');
