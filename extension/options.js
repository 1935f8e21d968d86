import { host } from './host.js';
import { settings } from './settings.js';
import { fill } from './words.js';

fill(document, host.words);
document.title = `${host.words('name')}: ${host.words('settings')}`;
settings(document.querySelector('main'), host);
