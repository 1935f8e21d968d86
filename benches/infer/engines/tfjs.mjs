// TensorFlow.js on WebGPU: one product, its operands on the device already.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-webgpu';

export async function open() {
  if (!await tf.setBackend('webgpu')) {
    throw new Error('tfjs finds no WebGPU');
  }
  await tf.ready();
  return {
    async matmul(m, k, n, times) {
      const [a, b] = [tf.fill([m, k], 0.5), tf.fill([k, n], 0.5)];
      // The first product brings the operands to the device.
      await tf.tidy(() => tf.matMul(a, b)).data();
      const start = performance.now();
      for (let time = 1; time < times; time += 1) {
        tf.matMul(a, b).dispose();
      }
      // Work counts when its result was read.
      const last = tf.matMul(a, b);
      await last.data();
      const ms = performance.now() - start;
      last.dispose();
      tf.dispose([a, b]);
      return ms;
    },
    close: () => tf.removeBackend('webgpu'),
  };
}
