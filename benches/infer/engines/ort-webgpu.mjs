// onnxruntime-web on WebGPU: one product, its operands on the device already.
import * as ort from 'onnxruntime-web/webgpu';
import { fetched } from './bytes.mjs';

export async function open({ file }) {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = '/node_modules/onnxruntime-web/dist/';
  ort.env.logLevel = 'error';
  const model = new Uint8Array(await (await fetched(file)).arrayBuffer());
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ['webgpu'], preferredOutputLocation: 'gpu-buffer',
  });
  const device = await ort.env.webgpu.device;
  const operand = (rows, cols) => {
    const buffer = device.createBuffer({
      size: rows * cols * 4, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    device.queue.writeBuffer(buffer, 0, new Float32Array(rows * cols).fill(0.5));
    return [buffer, ort.Tensor.fromGpuBuffer(buffer, { dataType: 'float32', dims: [rows, cols] })];
  };
  return {
    async matmul(m, k, n, times) {
      const [first, a] = operand(m, k);
      const [second, b] = operand(k, n);
      await device.queue.onSubmittedWorkDone();
      const start = performance.now();
      for (let time = 1; time < times; time += 1) {
        (await session.run({ a, b })).c.dispose();
      }
      // Work counts when its result was read.
      const { c } = await session.run({ a, b });
      await c.getData(true);
      const ms = performance.now() - start;
      first.destroy();
      second.destroy();
      return ms;
    },
    close: () => session.release(),
  };
}
