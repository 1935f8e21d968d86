// A visitor's agreement: for one site, or, where the browser lets this frame reach the storage that
// all sites' frames share, for every site that asks. It ends after 24 hours, and when the clock is
// not what it was.

const DAY_MS = 24 * 60 * 60 * 1000;
/** Clocks are set right by so much now and then. */
const SLACK_MS = 5 * 60 * 1000;
const EVERYWHERE = 'grid.agreed';
/** The relay's own page (www/node/tab.js) leaves it: no frame does, so who finds it shares with all. */
const OWN_PAGE = 'grid.own-page';

/** `site`: its key. `local`: this site's part of the storage. */
export function agreement(site, local) {
  const here = `grid.agreed.${site}`;
  const stopped = `grid.stopped.${site}`;
  /** The storage that all sites share, once this frame may reach it. */
  let shared;

  const read = (storage, key) => {
    try {
      const { since, until } = JSON.parse(storage.getItem(key));
      const now = Date.now();
      return since - SLACK_MS <= now && now < until && until - since <= DAY_MS ? until : undefined;
    } catch {
      return undefined;
    }
  };
  const forEverySite = () =>
    (shared && local.getItem(stopped) === null ? read(shared, EVERYWHERE) : undefined);
  return {
    /** Until when it holds; `undefined` where it doesn't. */
    until: () => forEverySite() ?? read(local, here),
    forEverySite: () => forEverySite() !== undefined,
    shared: () => shared,
    /** Finds what the browser lets this frame share without asking anybody. */
    async look() {
      const permission = await navigator.permissions?.query({ name: 'storage-access' })
        .catch(() => undefined);
      if (permission?.state === 'granted') shared = await sharedStorage();
    },
    /**
     * In a click: the visitor agrees, for this site at once. If `everywhere`, the browser may ask,
     * too; `widened()` is called once the agreement is for every site.
     */
    give(everywhere, widened) {
      const since = Date.now();
      const text = JSON.stringify({ since, until: since + DAY_MS });
      local.removeItem(stopped);
      local.setItem(here, text);
      if (!everywhere) return;
      sharedStorage().then(found => {
        if (!found || read(local, here) === undefined) return;
        found.setItem(EVERYWHERE, text);
        local.removeItem(here);
        widened();
      });
    },
    /** The agreement ends: for this site, or for every site. */
    withdraw(everywhere) {
      local.removeItem(here);
      if (everywhere) shared?.removeItem(EVERYWHERE);
      else if (forEverySite()) local.setItem(stopped, '');
    },
  };
}

async function sharedStorage() {
  try {
    // Chromium hands the storage over; in Firefox the frame's own becomes the shared one.
    const handle = await document.requestStorageAccess({ localStorage: true });
    const found = handle?.localStorage ?? window.localStorage;
    // A browser may grant access and keep the sites apart all the same.
    return found.getItem(OWN_PAGE) === null ? undefined : found;
  } catch {
    return undefined;
  }
}
