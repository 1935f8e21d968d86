// One agreement for every site: where the browser lets the widget's frames share something, and
// where it doesn't, in Chromium and in Firefox.
import assert from 'node:assert/strict';
import { allow, clickWidget, frame, fresh, hosted, question, ready, state, tab, tap, visit } from '../lib/lend.mjs';
import { ENGINES, says } from '../lib/pages.mjs';
import { until } from '../lib/wait.mjs';

const online = async relay => (await relay.network()).nodes_online;

/** Two sites, and a browser that knows the relay's own page: another one is granted nothing. */
async function knowing(t, engine, how) {
  const sites = await hosted(t);
  const browser = await fresh(t, engine, how);
  const own = await tab(browser, sites.relay);
  await ready(own);
  await own.click('h1');
  await own.goto('about:blank');
  return { ...sites, browser };
}

/** Agrees on a page for every site. `asked`: and the browser's own question is answered. */
async function agree(made, relay, asked = () => {}) {
  const asks = await question(made);
  await asked();
  await tap(made, asks, '#everywhere');
  await tap(made, asks, '#agree');
}

/** The frame, once it says for which sites the agreement holds. */
const holds = (made, what) => until(`it holds for ${what}`, async () => {
  const runs = await frame(made, '#stop');
  return (await runs.$eval('#holds', element => element.textContent)).includes(what) && runs;
}, 40_000);

const tests = {};
for (const engine of ENGINES) {
  tests[`holds on another site, is one node, and is withdrawn there for both (${engine})`] = async t => {
    const { relay, here, there, browser } = await knowing(t, engine);
    const everywhere = async (made, expected) => {
      await agree(made, relay, () => engine === 'chromium' && allow(browser, made, relay));
      const runs = await holds(made, 'every site');
      await state(made, expected);
      return runs;
    };
    const first = await visit(browser, `${here}/plain/`, relay);
    await everywhere(first, 'waiting');
    // Another site: a frame there reaches nothing before a click in it.
    const second = await visit(browser, `${there}/strict/`, relay);
    await second.bringToFront();
    const runs = await everywhere(second, 'connecting');
    await says(runs, '#why', 'another tab or window of this browser', 30_000);
    assert.equal(await online(relay), 1);
    await tap(second, runs, 'summary');
    await tap(second, runs, '#withdraw');
    await state(second, 'off');
    await state(first, 'off');
    await until('the relay has no node', async () => await online(relay) === 0, 30_000);
    assert.equal(first.frames().length, 1);
    // Agreed to again on one site, it goes on at the other one, which may look by now, at a click.
    await first.bringToFront();
    await everywhere(first, 'waiting');
    await first.goto('about:blank');
    await until('the relay has no node', async () => await online(relay) === 0, 30_000);
    await second.bringToFront();
    await clickWidget(second);
    await holds(second, 'every site');
    await state(second, 'waiting');
  };

  tests[`refused by the browser, it is for the site alone, and says so (${engine})`] = async t => {
    // Chromium, where nobody is there to be asked, refuses.
    const preferences = { 'dom.storage_access.enabled': false };
    const { relay, here, there, browser } = await knowing(t, engine, { preferences });
    const first = await visit(browser, `${here}/plain/`, relay);
    await agree(first, relay);
    const runs = await holds(first, 'keeps sites apart');
    await state(first, 'waiting');
    assert.equal(await runs.$eval('#withdraw', button => button.hidden), true);
    const second = await visit(browser, `${there}/plain/`, relay);
    await second.bringToFront();
    await agree(second, relay);
    await tap(second, await holds(second, 'keeps sites apart'), '#stop');
    await state(second, 'off');
    assert.equal(await online(relay), 1);
  };
}
export default tests;
