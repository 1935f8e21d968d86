import { host } from './host.js';
import { settings } from './settings.js';
import { fill } from './words.js';

fill(document, host.words);
document.title = `${host.words('name')}: ${host.words('settings')}`;
settings(document.querySelector('main'), { ...host, tellPages });

/** The page asks again whether it may: docs/embed.md. */
async function tellPages() {
  const { settings, account } = await host.ask({ kind: 'status' });
  open(new URL(`/node/#extension=${account.browser}`, settings.relay), '_blank', 'noopener');
}
