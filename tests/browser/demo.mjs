// Browsers as nodes, each with a profile of its own, until standard input
// closes: for `cargo xtask demo`. Prints a line of JSON for each that joined.
import { options } from './lib/args.mjs';
import { Browser } from './lib/browser.mjs';

const { ext, relay, browsers: count } = options();
if (!relay) throw new Error('--relay URL is missing');
const browsers = [];
let ending;
const end = code => (ending ??= Promise.allSettled(browsers.map(browser => browser.stop()))
  .then(() => process.exit(code)));
process.on('SIGTERM', () => end(0));
process.on('SIGINT', () => end(0));
process.stdin.on('end', () => end(0)).on('error', () => end(0)).resume();

async function join() {
  const browser = await Browser.start(ext);
  browsers.push(browser);
  try {
    await browser.switchOn(relay);
    await browser.joined();
  } catch (error) {
    throw new Error(`${error} ${JSON.stringify(await browser.view().catch(() => null))}`);
  }
  console.log(JSON.stringify({ node: (await browser.view()).node }));
}

await Promise.all(Array.from({ length: Number(count) }, join)).catch(error => {
  if (!ending) console.error(String(error));
  return end(1);
});
