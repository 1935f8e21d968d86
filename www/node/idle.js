// Whether somebody uses the device. A page knows of its own input only; where the browser has a
// detector and its user lets this page ask it, it knows of all input.

const IN_USE_MS = 60_000;

/**
 * Calls `changed(state)` with `active` or `idle`. Gives back `state()`, and `detect()`, which asks
 * for the detector, where there is one that isn't used yet.
 */
export function idleness(changed) {
  let told = 'active';
  let used = Date.now();
  let timer;
  let detector;

  const state = () => {
    if (detector) return detector.screenState === 'locked' ? 'locked' : detector.userState ?? 'active';
    return !document.hidden && Date.now() - used < IN_USE_MS ? 'active' : 'idle';
  };
  const tell = () => {
    if (state() === told) return;
    told = state();
    changed(told);
  };
  const input = () => {
    used = Date.now();
    clearTimeout(timer);
    timer = setTimeout(tell, IN_USE_MS);
    tell();
  };
  for (const kind of ['pointerdown', 'pointermove', 'keydown', 'wheel']) {
    addEventListener(kind, input, { passive: true });
  }
  document.addEventListener('visibilitychange', tell);
  input();

  const listen = async () => {
    const started = new IdleDetector();
    started.onchange = tell;
    await started.start({ threshold: IN_USE_MS });
    detector = started;
    tell();
  };
  const permission = 'IdleDetector' in window
    ? navigator.permissions.query({ name: 'idle-detection' }).catch(() => undefined)
    : undefined;
  return {
    state,
    /** Resolves to a function for a click, or to nothing. */
    async detect() {
      const { state: allowed } = await permission ?? {};
      if (allowed === 'granted') await listen().catch(() => {});
      if (allowed !== 'prompt') return undefined;
      return async () => await IdleDetector.requestPermission() === 'granted' && listen();
    },
  };
}
