import { host } from './host.js';
import { settings } from './settings.js';
import { fill } from './words.js';

fill(document, host.words);
document.title = `${host.words('name')}: ${host.words('settings')}`;
settings(document.querySelector('main'), host);

// The page asks again whether it may; docs/embed.md.
document.querySelector('#pages_know').onclick = async () => {
  const { settings, account } = await host.ask({ kind: 'status' });
  open(`${settings.relay}/node/#extension=${account.browser}`, '_blank', 'noopener');
};
