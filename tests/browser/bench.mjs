// Measures the node in Chromium: prints one JSON object, medians in
// milliseconds. With --relay-bin, tasks go through that relay.
import { options } from './lib/args.mjs';
import { Browser } from './lib/browser.mjs';
import { fnv } from './lib/modules.mjs';
import { Relay } from './lib/relay.mjs';
import { sleep } from './lib/wait.mjs';

const RUNS = 11;
const { ext, relayBin } = options();

const median = values => [...values].sort((a, b) => a - b)[values.length >> 1];
const round = value => Math.round(value * 100) / 100;

/** From the start of the service worker until the node takes events. */
async function ready(browser) {
  const times = [];
  for (let run = 0; run < RUNS; run += 1) {
    await browser.stopWorker();
    times.push((await browser.view()).debug.ready_ms);
  }
  return times;
}

/** One task at a time, each into a quiet browser. */
async function overhead(browser, owner, figure, runs) {
  const module = fnv();
  const had = (await browser.view()).debug[figure].length;
  await browser.closePopup(); // It asks the node twice a second.
  for (let run = 0; run < runs; run += 1) {
    await owner.run(module, { stdin: String(run) });
    await sleep(100);
  }
  return (await browser.view()).debug[figure].slice(had);
}

const relay = await Relay.start(relayBin);
const browser = await Browser.start(ext);
try {
  await browser.view();
  const readyTimes = await ready(browser);
  await browser.switchOn(relay.url);
  await browser.joined();
  const owner = relay.owner('bench');
  await overhead(browser, owner, 'overhead_ms', 3); // Warms up, fills the cache.
  const warm = await overhead(browser, owner, 'overhead_ms', RUNS);
  await browser.worker.evaluate(async () => (await node).spare(false));
  const cold = await overhead(browser, owner, 'overhead_cold_ms', RUNS);
  console.log(JSON.stringify({
    ready_ms: round(median(readyTimes)),
    ready_ms_max: round(Math.max(...readyTimes)),
    task_overhead_ms: round(median(warm)),
    task_overhead_ms_max: round(Math.max(...warm)),
    task_overhead_cold_ms: round(median(cold)),
    task_overhead_cold_ms_max: round(Math.max(...cold)),
    samples: { ready: readyTimes.length, warm: warm.length, cold: cold.length },
  }));
} finally {
  await browser.stop();
  await relay.stop();
}
