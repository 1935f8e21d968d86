// Whether the visitor can see something in this frame: all of it, as it is painted, where the
// browser tells (IntersectionObserver version 2); otherwise whether it is in view at all.

const TRACKS = 'isVisible' in IntersectionObserverEntry.prototype;
/** How long it must be seen before a click counts. */
const SEEN_MS = TRACKS ? 500 : 1_000;

/** A frame that isn't painted for so long is hidden; Firefox's observer doesn't say so. */
const UNPAINTED_MS = 2_500;
const LOOK_MS = 500;

/** Calls `changed(seen)` at once and whenever it changes. */
export function watch(element, changed) {
  let inView;
  let told;
  let painted = performance.now();
  const tell = () => {
    const fresh = innerHeight > 0 && performance.now() - painted < UNPAINTED_MS;
    const seen = inView === true && fresh && !document.hidden;
    if (inView === undefined || seen === told) return;
    told = seen;
    changed(seen);
  };
  const observer = new IntersectionObserver(entries => {
    const { isIntersecting, intersectionRatio, isVisible } = entries.at(-1);
    inView = isIntersecting && intersectionRatio > 0.98 && (!TRACKS || isVisible);
    tell();
  }, { threshold: [0, 0.5, 0.98, 1], ...(TRACKS && { trackVisibility: true, delay: 100 }) });
  observer.observe(element);
  const looks = setInterval(() => {
    requestAnimationFrame(() => (painted = performance.now()));
    tell();
  }, LOOK_MS);
  document.addEventListener('visibilitychange', tell);
  return () => {
    observer.disconnect();
    clearInterval(looks);
    document.removeEventListener('visibilitychange', tell);
  };
}

/**
 * Keeps a button from being clicked before its visitor could see it for a while, and, where the
 * browser doesn't tell what is painted, before this frame has the focus. `changed(live, seen)`.
 */
export function guard(button, element, changed) {
  let timer;
  let seen = false;
  const set = live => {
    button.disabled = !live;
    changed(live, seen);
  };
  const again = () => {
    clearTimeout(timer);
    set(false);
    if (seen && (TRACKS || document.hasFocus())) timer = setTimeout(set, SEEN_MS, true);
  };
  const focus = () => TRACKS || again();
  addEventListener('focus', focus);
  addEventListener('blur', focus);
  const end = watch(element, now => {
    seen = now;
    again();
  });
  return () => {
    end();
    clearTimeout(timer);
    removeEventListener('focus', focus);
    removeEventListener('blur', focus);
    button.disabled = true;
  };
}
