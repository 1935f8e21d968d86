// Which browser this is: a number at random that says nothing else. Documents that share storage
// share it; a relay has one node at a time work in each browser.
import { get, LONGEST, set } from './shared.js';

const KEY = 'grid.browser';
const SHARED = 'grid-browser';
const HEX = /^[0-9a-f]{32}$/;

/** The browser's id in this storage: 32 hexadecimal digits; made if there is none. */
export function browserId(storage) {
  const kept = JSON.parse(storage.getItem(KEY) ?? 'null');
  if (HEX.test(kept)) return kept;
  const made = Array.from(crypto.getRandomValues(new Uint8Array(16)),
    byte => byte.toString(16).padStart(2, '0')).join('');
  adopt(storage, made);
  return made;
}

/** Takes over an id: the extension's, so that the relay knows both for one browser. */
export function adopt(storage, id) {
  if (HEX.test(id)) storage.setItem(KEY, JSON.stringify(id));
}

/** Lets frames on other sites know the id, once the visitor has them share what they keep. */
export function share(id) {
  set(SHARED, id, LONGEST);
}

/** The id that was shared, if this document reaches it. */
export function sharedId() {
  const id = get(SHARED);
  return HEX.test(id) ? id : undefined;
}
