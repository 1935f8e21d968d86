// Where fetched modules run: the sandboxed frame, of opaque origin. `buildFrame(port)` puts one in
// the place of the one before, hands it the port, and gives a function that removes it.

const executor = (async () => {
  const fetched = ['grid.js', 'executor-worker.js', 'grid_bg.wasm'].map(name => fetch(name));
  const [glue, worker, wasm] = await Promise.all(fetched);
  return { script: `${await glue.text()}\n${await worker.text()}`, wasm: await wasm.arrayBuffer() };
})();

function buildFrame(port) {
  document.querySelector('iframe')?.remove();
  const frame = document.createElement('iframe');
  frame.sandbox = 'allow-scripts';
  frame.onload = async () => frame.contentWindow.postMessage(await executor, '*', [port]);
  frame.src = 'sandbox.html';
  document.body.append(frame);
  return () => frame.remove();
}
