// A browser as a node, until standard input closes: for `cargo xtask demo`.
// Prints one line of JSON when it has joined.
import { options } from './lib/args.mjs';
import { Browser } from './lib/browser.mjs';

const { ext, relay } = options();
if (!relay) throw new Error('--relay URL is missing');
const browser = await Browser.start(ext);
let ending;
const end = () => (ending ??= browser.stop().then(() => process.exit(0)));
process.on('SIGTERM', end);
process.on('SIGINT', end);
process.stdin.on('end', end).on('error', end).resume();
try {
  await browser.switchOn(relay);
  await browser.joined();
} catch (error) {
  console.error(String(error), JSON.stringify(await browser.view().catch(() => null)));
  await browser.stop();
  process.exit(1);
}
console.log(JSON.stringify({ ready: true, node: (await browser.view()).node }));
