// Measures whether a page feels the node: `node bench-manners.mjs [--json] [--rounds N]`. Somebody
// types and scrolls in a light page and in a heavy one; the node is on (a quarter of a core while the
// device is in use, one task that runs) and off, by turns. Then what a share brings: the fuel of a
// second at a part of a core, of that part of what the whole core brings in the same round.
import { Browser } from './lib/browser.mjs';
import { options } from './lib/args.mjs';
import { desk, percentile, use } from './lib/hands.mjs';
import { endless } from './lib/modules.mjs';
import { Relay } from './lib/relay.mjs';
import { sleep, until } from './lib/wait.mjs';

const ROUND_MS = 6_000;
const WAIT = 60_000;
const SHARES = [5, 25, 50];
const WORK_MS = 4_000;
const PAGES = { light: false, heavy: true };
const given = options();
const rounds = Number(given.rounds);
const figures = values => ({
  events: values.length,
  p50_ms: percentile(values, 50),
  p95_ms: percentile(values, 95),
});
const relay = await Relay.start(given.relayBin, { believing: true });
const browser = await Browser.start(given.ext);
const pages = {};
const shares = Object.fromEntries(SHARES.map(share => [share, []]));
try {
  await browser.switchOn(relay.url, { onBattery: true });
  await browser.change({ in_use: { cpu: 25, gpu: 0 }, idle: { cpu: 25, gpu: 0 } });
  await relay.owner().submit(endless(), [{}], { fuel: 1e14 });
  const set = async on => {
    await browser.change({ on });
    await until(`it is ${on ? 'working' : 'off'}`, async () => {
      const { state, running } = await browser.view();
      return on ? running[0]?.fuel > 0 : state === 'off';
    }, WAIT);
    await browser.closePopup(); // It asks twice a second while it is open.
  };
  for (const [name, heavy] of Object.entries(PAGES)) {
    const page = await desk(browser.context, heavy);
    await use(page, 2_000); // Everything is compiled.
    const latencies = { on: [], off: [] };
    const ratios = [];
    for (let round = 0; round < rounds; round += 1) {
      const found = {};
      // The order changes, so that what came before is no advantage.
      for (const how of round % 2 ? ['on', 'off'] : ['off', 'on']) {
        await set(how === 'on');
        found[how] = await use(page, ROUND_MS);
        latencies[how].push(...found[how]);
      }
      ratios.push(percentile(found.on, 95) / percentile(found.off, 95));
    }
    await page.close();
    pages[name] = {
      on: figures(latencies.on),
      off: figures(latencies.off),
      p95_ratio: percentile(latencies.on, 95) / percentile(latencies.off, 95),
      p95_ratio_median_of_rounds: percentile(ratios, 50),
    };
  }
  await set(true);
  /** Fuel a second at a share of a core. */
  const rate = async cpu => {
    await browser.change({ in_use: { cpu, gpu: 0 }, idle: { cpu, gpu: 0 } });
    const look = async () => [(await browser.view()).running[0].fuel, performance.now()];
    await sleep(500); // The slice that was under way is over.
    const [before, began] = await look();
    await sleep(WORK_MS);
    const [after, ended] = await look();
    return (after - before) / (ended - began) * 1_000;
  };
  for (let round = 0; round < rounds; round += 1) {
    const whole = await rate(100);
    for (const share of SHARES) shares[share].push(await rate(share) / (whole * share / 100));
  }
} finally {
  await browser.stop();
  await relay.stop();
}
const result = {
  share: 25,
  rounds,
  pages,
  /** By share in percent: fuel a second, of that share of a whole core's. */
  kept: Object.fromEntries(SHARES.map(share => [share, percentile(shares[share], 50)])),
};
if (given.json) console.log(JSON.stringify(result));
else {
  for (const [name, page] of Object.entries(pages)) {
    const line = how => `${name}, ${how.padEnd(3)} p50 ${page[how].p50_ms.toFixed(1)} ms, p95 ${page[how].p95_ms.toFixed(1)} ms (${page[how].events} events)`;
    console.log(`${line('off')}\n${line('on')}\np95 with the node on: ${(100 * page.p95_ratio).toFixed(1)}% of that with it off`);
  }
  for (const share of SHARES) console.log(`work at ${share}% of a core: ${(100 * result.kept[share]).toFixed(0)}% of that share of a whole core's`);
}
process.exit(0);
