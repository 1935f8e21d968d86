// A visitor's agreement: for one site, or, where the browser lets this frame reach what all sites'
// frames share, for every site that asks. It ends after 24 hours, and when the clock is not what it
// was.
import { browserId, share, sharedId } from './identity.js';
import { get, set } from './shared.js';

const DAY_MS = 24 * 60 * 60 * 1000;
/** Clocks are set right by so much now and then. */
const SLACK_MS = 5 * 60 * 1000;
const EVERYWHERE = 'grid-agreed';
/** Longer than it holds: one that ended is told from one that was withdrawn. */
const KEPT_S = 2 * DAY_MS / 1000;
/** After an agreement that was to be for every site. */
const REFUSED = '-refused';

/** Until when an agreement holds, which is written `SINCE-UNTIL`: milliseconds since 1970. */
function holds(text) {
  const [since, until] = String(text).split('-').map(Number);
  const now = Date.now();
  return since - SLACK_MS <= now && now < until && until - since <= DAY_MS ? until : undefined;
}

/** `site`: its key. `local`: this site's part of the storage. */
export function agreement(site, local) {
  const here = `grid.agreed.${site}`;
  const stopped = `grid.stopped.${site}`;
  /** Whether this frame reaches what all sites' frames share. */
  let shares = false;

  const everySites = () => (shares && local.getItem(stopped) === null ? get(EVERYWHERE) : undefined);
  const forEverySite = () => holds(everySites());
  const forThisSite = () => holds(local.getItem(here));
  return {
    /** Until when it holds; `undefined` where it doesn't. */
    until: () => forEverySite() ?? forThisSite(),
    forEverySite: () => forEverySite() !== undefined,
    /** It was to hold for every site, and the browser keeps them apart. */
    refused: () => Boolean(local.getItem(here)?.endsWith(REFUSED)),
    /** It ended by itself: nobody withdrew it. */
    over: () => Boolean(local.getItem(here) ?? everySites()) && !forEverySite() && !forThisSite(),
    /** The browser's id: every site's only under an agreement for every site. */
    browser: () => (forEverySite() && sharedId()) ?? browserId(local),
    /** Finds what the browser lets this frame share without asking anybody. */
    async look() {
      const permission = await navigator.permissions?.query({ name: 'storage-access' })
        .catch(() => undefined);
      if (permission?.state === 'granted') shares = await access();
    },
    /**
     * In a click: the visitor agrees, for this site at once. If `everywhere`, the browser may ask,
     * too; resolves to whether the agreement is for every site.
     */
    async give(everywhere) {
      const since = Date.now();
      const text = `${since}-${since + DAY_MS}`;
      local.removeItem(stopped);
      local.setItem(here, text);
      if (!everywhere) return false;
      shares = await access();
      // Withdrawn while the browser asked, it stays so.
      if (forThisSite() === undefined) return false;
      if (shares) set(EVERYWHERE, text, KEPT_S);
      if (!shares || get(EVERYWHERE) !== text) {
        local.setItem(here, text + REFUSED);
        return false;
      }
      share(sharedId() ?? browserId(local));
      local.removeItem(here);
      return true;
    },
    /** The agreement ends: for this site, or for every site. */
    withdraw(everywhere) {
      local.removeItem(here);
      if (everywhere) set(EVERYWHERE, '', 0);
      else if (forEverySite()) local.setItem(stopped, '');
    },
  };
}

/** Asks the browser; from then on this frame's cookies are those of the relay's own page. */
async function access() {
  try {
    await document.requestStorageAccess();
    return true;
  } catch {
    return false;
  }
}
