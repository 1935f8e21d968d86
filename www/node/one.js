// One node in each browser: of the documents that share storage, the one that holds a lock. (What
// other sites' pages hold shares neither: there the relay decides, by the browser's id.)

const NAME = 'grid-node';
const ASK_MS = 1_000;

/**
 * Waits for the lock: calls `mine()` when this document has it, `lost()` when another one took it
 * away, and `theirs(view)` as long as another one has it, with what that says of its node.
 * `view()` is what this one says. Gives back a function that takes the lock away.
 */
export function one({ mine, lost, theirs, view }) {
  const channel = others();
  if (!channel) {
    mine();
    return () => {};
  }
  const waiting = new AbortController();
  let has = false;

  channel.onmessage = async ({ data }) => {
    if (has && data.ask) channel.postMessage({ view: await view() });
    if (!has && data.view) theirs(data.view);
  };
  const held = () => {
    has = true;
    waiting.abort();
    mine();
    // Until the document ends, or another one takes it.
    return new Promise(free => addEventListener('pagehide', free, { once: true }));
  };
  // Brought back as it was left, without the lock.
  addEventListener('pageshow', ({ persisted }) => persisted && location.reload());
  const request = async options => {
    let granted = false;
    try {
      await navigator.locks.request(NAME, options, lock => {
        granted = Boolean(lock);
        return granted ? held() : undefined;
      });
    } catch (error) {
      if (granted) lost();
      // Storage is refused, and locks with it: no other document can be asked.
      if (error.name === 'SecurityError') held();
    }
  };
  const ask = () => {
    if (has) return;
    channel.postMessage({ ask: true });
    setTimeout(ask, ASK_MS);
  };

  request({ ifAvailable: true }).then(() => {
    if (has) return;
    theirs();
    ask();
    request({ signal: waiting.signal });
  });
  return () => has || request({ steal: true });
}

/** To the other documents; nothing where there are no locks, or the browser lets none be told. */
function others() {
  try {
    return navigator.locks && new BroadcastChannel(NAME);
  } catch {
    return undefined;
  }
}
