// Whether somebody uses the device. A page knows of its own input only; where the browser has a
// detector and its user lets this page ask it, it knows of all input.

const IN_USE_MS = 60_000;

/**
 * Calls `changed(state)` with `active` or `idle`. Gives back `state()`, `detects()`, which says
 * whether it knows of all input, and `detect()`, which asks for the detector, where there is one that
 * isn't used yet.
 */
export function idleness(changed) {
  let told = 'active';
  let used = Date.now();
  let timer;
  let detector;

  const state = () => {
    if (detector) return detector.screenState === 'locked' ? 'locked' : detector.userState ?? 'active';
    return Date.now() - used < IN_USE_MS ? 'active' : 'idle';
  };
  const tell = () => {
    const now = state();
    clearTimeout(timer);
    // Again if it comes early: nothing else would tell.
    if (now === 'active' && !detector) timer = setTimeout(tell, used + IN_USE_MS - Date.now());
    if (now === told) return;
    told = now;
    changed(told);
  };
  const input = () => {
    used = Date.now();
    tell();
  };
  for (const kind of ['pointerdown', 'pointermove', 'keydown', 'wheel']) {
    addEventListener(kind, input, { passive: true });
  }
  // Who turns to another tab or window is there.
  document.addEventListener('visibilitychange', input);
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
    detects: () => Boolean(detector),
    /** Resolves to a function for a click, or to nothing. */
    async detect() {
      const { state: allowed } = await permission ?? {};
      if (allowed === 'granted') await listen().catch(() => {});
      if (allowed !== 'prompt') return undefined;
      return async () => await IdleDetector.requestPermission() === 'granted' && listen();
    },
  };
}
