// The worker that infers: starts the wasm with the port on which tasks come.
importScripts('inference.js');

onmessage = async ({ ports }) => {
  onmessage = null;
  await wasm_bindgen({ module_or_path: 'inference_bg.wasm' });
  wasm_bindgen.infer(ports[0]);
};
