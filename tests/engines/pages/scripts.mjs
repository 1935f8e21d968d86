// Runs scripts (crates/engine/examples/engine-cases) in a fresh worker, whose
// stack is as small as that of the worker that runs task modules.

/** Runs the pack's scripts with slices of so much fuel; says what differed. */
export async function runScripts(url, slice) {
  const worker = new Worker('/rig/scripts-worker.mjs', { type: 'module' });
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data: { value, error } }) => {
        if (error === undefined) resolve(value);
        else reject(new Error(error));
      };
      worker.onerror = ({ message }) => reject(new Error(`the worker failed: ${message}`));
      worker.postMessage({ url, slice });
    });
  } finally {
    worker.terminate();
  }
}
