// What the browser's page does: calls the wasm of crates/tensor/examples/gpu-page.rs.
import init, { figures as measure, lose as end, run_check } from '/glue/gpu_page.js';

let ready;
const wasm = () => (ready ??= init({ module_or_path: '/glue/gpu_page_bg.wasm' }));

/** Runs the cases with kernels cut as `tiles` says. */
export async function check(tiles, seed, rounds) {
  await wasm();
  return JSON.parse(await run_check(tiles, seed, rounds));
}

/** What a device says that was taken away. */
export async function lose() {
  await wasm();
  return end();
}

/** Figures of the browser's GPU, with kernels cut as `tiles` says. */
export async function figures(tiles, rounds) {
  await wasm();
  return JSON.parse(await measure(tiles, rounds));
}
