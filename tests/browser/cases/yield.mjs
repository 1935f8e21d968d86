// A tab of the relay's page and a widget leave the work to the extension, once they know of it.
import assert from 'node:assert/strict';
import {
  allow, change, EAGER, frame, fresh, hosted, question, ready, state, tap, view, visit,
} from '../lib/lend.mjs';
import { fnv, fnvOf } from '../lib/modules.mjs';
import { says } from '../lib/pages.mjs';
import { until } from '../lib/wait.mjs';

const SAYS = 'The extension, or another tab or window of this browser, works for this relay';

/** The options page of the extension that is installed. */
async function options(browser) {
  const worker = await browser.waitForTarget(target =>
    target.type() === 'service_worker' && target.url().startsWith('chrome-extension://'), { timeout: 30_000 });
  const page = await browser.newPage();
  await page.goto(new URL('/options.html', worker.url()).href);
  await page.waitForSelector('[data-ready]', { timeout: 30_000 });
  return page;
}

export default {
  async 'to the extension: the tab and the widget (chromium)'(t) {
    const { relay, owner, here } = await hosted(t);
    const browser = await fresh(t, 'chromium', { extension: t.options.ext });
    const extension = await options(browser);
    const online = async nodes => until(`the relay has ${nodes}`,
      async () => (await relay.network()).nodes_online === nodes, 30_000);
    const extensionIs = on => extension.evaluate(
      settings => chrome.runtime.sendMessage({ kind: 'settings', settings }), { ...EAGER, relay: relay.url, on });
    await extensionIs(true);
    await online(1);

    // Its button opens the relay's page; one click there.
    await extension.bringToFront();
    await extension.click('#pages_know');
    const opened = await browser.waitForTarget(target => target.url().startsWith(`${relay.url}/node/`), { timeout: 30_000 });
    const made = await opened.page();
    await ready(made);
    assert.equal(await made.evaluate(() => location.hash), '', 'the number stays in no history');
    await made.bringToFront();
    await Promise.all([made.waitForNavigation(), made.click('#know')]);
    await ready(made);
    await change(made, EAGER);
    await made.click('#switch');
    await says(made, '#why', SAYS, 40_000);
    assert.equal((await view(made)).state, 'connecting');

    // A widget that is agreed to for every site.
    const hosting = await visit(browser, `${here}/plain/`, relay);
    await hosting.bringToFront();
    const asks = await question(hosting);
    await allow(browser, hosting, relay);
    await tap(hosting, asks, '#everywhere');
    await tap(hosting, asks, '#agree');
    await until('it says so, too', async () => {
      const runs = await frame(hosting, '#stop');
      return (await runs.$eval('#why', element => element.textContent)).includes(SAYS);
    }, 40_000);
    await state(hosting, 'connecting');
    await online(1);
    const result = await owner.run(fnv(), { stdin: Buffer.from('the extension') });
    assert.deepEqual(result.files.stdout, fnvOf(Buffer.from('the extension')));
    const { tasks } = await extension.evaluate(() => chrome.runtime.sendMessage({ kind: 'status' }));
    assert.equal(tasks, 1);

    // Without it one of them works: each asks again every 30 seconds.
    await extensionIs(false);
    await until('another one works', async () => (await view(made)).state === 'waiting'
      || await hosting.evaluate(() => gridNode.state) === 'waiting', 60_000);
    await online(1);
  },
};
