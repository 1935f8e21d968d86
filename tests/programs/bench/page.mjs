// In the page: hands a program to a fresh worker, and waits for its times.

export function measure(program) {
  const worker = new Worker('/bench/worker.mjs', { type: 'module' });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => {
      if (data.error) reject(new Error(data.error));
      else resolve(data.times);
    };
    worker.onerror = ({ message }) => reject(new Error(message || 'the worker did not start'));
    worker.postMessage(program);
  }).finally(() => worker.terminate());
}
