// The page for who owns a site (`/embed/#KEY`), in Chromium and in Firefox.
import assert from 'node:assert/strict';
import { accessible } from '../lib/accessible.mjs';
import { account, fresh, hosted, lend, page, visit } from '../lib/lend.mjs';
import { fnv } from '../lib/modules.mjs';
import { ENGINES, says, text } from '../lib/pages.mjs';
import { until } from '../lib/wait.mjs';

const tests = {};
for (const engine of ENGINES) {
  tests[`shows what a key is for, and what to paste (${engine})`] = async t => {
    const { relay, key, here, there } = await hosted(t);
    const browser = await fresh(t, engine);
    const made = await page(browser);
    await made.goto(`${relay.url}/embed/#${key}`);
    await says(made, '#name', 'Harbour weather', 30_000);
    assert.equal(made.url(), `${relay.url}/embed/#${key}`);
    assert.equal(await text(made, '#origins'), `${here} ${there}`);
    assert.equal(await text(made, '#points'), 'None of its own: each visitor\'s node earns for itself.');
    assert.equal(await text(made, '#snippet'), `<script type="module" src="${relay.url}/embed.js" data-site="${key}"></script>\n`
      + '<grid-node><svg width="280" height="56"></svg></grid-node>');
    assert.equal(await text(made, '#policy'), `script-src ${relay.url}; frame-src ${relay.url}`);
    await accessible(made, 'setup');
    await made.bringToFront();
    await made.click('#copy');
    await says(made, '#copy', 'Copied', 30_000);
    // What is copied is what the page says: it becomes the widget where it is pasted.
    if (engine === 'chromium') {
      await browser.defaultBrowserContext().overridePermissions(relay.url, ['clipboard-read', 'clipboard-write']);
      assert.equal(await made.evaluate(() => navigator.clipboard.readText()), await text(made, '#snippet'));
    }
    assert.deepEqual(made.complaints, []);

    // Another key, by hand: none that there is, then this one again.
    const enter = async value => {
      await made.$eval('#key', input => (input.value = ''));
      await made.type('#key', value);
      await made.keyboard.press('Enter');
    };
    await enter('2222222222222222');
    await says(made, '#unknown', 'no site with this key', 30_000);
    assert.equal(await made.$eval('#site', element => element.checkVisibility()), false);
    await accessible(made, 'setup-unknown');
    await enter(` ${key} `);
    await until('it is there again', () => made.$eval('#site', element => element.checkVisibility()), 30_000);
    assert.equal(await made.$eval('#unknown', element => element.checkVisibility()), false);
    // The address is the page's, to be loaded again and passed on.
    await made.reload();
    await says(made, '#name', 'Harbour weather', 30_000);
    assert.equal(made.url(), `${relay.url}/embed/#${key}`);
  };
}

tests['shows what visitors earned for the site\'s account'] = async t => {
  const { relay, owner, here } = await hosted(t);
  const { invitation: made } = account(t, relay)('invite', '--site', 'My blog', '--origin', here);
  const browser = await fresh(t, 'chromium');
  const site = await visit(browser, `${here}/plain/`, relay);
  await site.$eval('grid-node', (element, key) => { element.dataset.site = key; }, made.code);
  const runs = await lend(site);
  assert.match(await runs.$eval('#for_site', element => element.textContent), /My blog/);
  await owner.run(fnv(2_000), { stdin: Buffer.from('for the site') });
  const person = await until('the account has points', async () => {
    const site = await (await fetch(`${relay.url}/embed/${made.code}.json`)).json();
    const answer = await fetch(`${relay.url}/v1/accounts/${site.account}`);
    const person = answer.ok && await answer.json();
    return person?.points?.site > 0 && person;
  }, 60_000);
  const setup = await page(browser);
  await setup.goto(`${relay.url}/embed/#${made.code}`);
  await says(setup, '#name', 'My blog', 30_000);
  const points = await text(setup, '#points');
  assert.match(points, /^[\d.,]+$/, `${points} of ${person.points.site} fuel`);
};
export default tests;
