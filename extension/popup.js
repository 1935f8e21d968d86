import { controls } from './controls.js';
import { host } from './host.js';
import { fill } from './words.js';

fill(document, host.words);
controls(document.querySelector('main'), host);

document.querySelector('#options').onclick = () => chrome.runtime.openOptionsPage();
host.ask({ kind: 'status' }).then(({ settings, node }) => {
  document.querySelector('#network').href = new URL(`/#/node/${node}`, settings.relay).href;
}).catch(() => { /* The controls say what is wrong with the address. */ });
