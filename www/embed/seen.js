// Whether the visitor can see something in this frame: all of it, as it is painted, where the
// browser tells (IntersectionObserver version 2); otherwise whether it is in view at all.

const TRACKS = 'isVisible' in IntersectionObserverEntry.prototype;
/** How long it must be seen before a click counts. */
const SEEN_MS = TRACKS ? 500 : 1_000;

/** A frame that isn't painted for so long is hidden; Firefox's observer doesn't say so. */
const UNPAINTED_MS = 2_500;
const LOOK_MS = 500;
/** Browsers round where something is scrolled to. */
const SLACK_PX = 4;

/** Calls `changed(seen)` at once and whenever it changes. */
export function watch(element, changed) {
  let inView;
  let told;
  let painted = performance.now();
  const tell = () => {
    const fresh = innerWidth > 0 && innerHeight > 0 && performance.now() - painted < UNPAINTED_MS;
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
 * Keeps a button from being clicked before its visitor could see all of `box` for a while, which fills
 * the frame and scrolls (its end, `foot`, may stick to the frame's), and, where the browser doesn't tell
 * what is painted, before this frame has the focus. `changed(why)`: `hidden`, `rest` (it is to be
 * scrolled through), `moment`, or nothing.
 */
export function guard(button, box, foot, changed) {
  let timer;
  let seen = false;
  /** How far down it was shown, from the top on and without a gap. */
  let shown = 0;
  const set = why => {
    button.disabled = Boolean(why);
    changed(why);
  };
  const again = () => {
    clearTimeout(timer);
    if (!seen) return set('hidden');
    if (shown < box.scrollHeight - SLACK_PX) return set('rest');
    set('moment');
    if (TRACKS || document.hasFocus()) timer = setTimeout(set, SEEN_MS, '');
  };
  const scrolled = () => {
    if (!seen || box.scrollTop > shown) return;
    const covered = getComputedStyle(foot).position === 'sticky' ? foot.offsetHeight : 0;
    const end = box.scrollTop + box.clientHeight;
    const before = shown;
    shown = Math.max(shown, end < box.scrollHeight - SLACK_PX ? end - covered : end);
    if (shown !== before) again();
  };
  // Who holds the frame sizes it: what was shown may be cut off now.
  const resized = () => {
    shown = 0;
    scrolled();
    again();
  };
  const focus = () => TRACKS || again();
  box.addEventListener('scroll', scrolled);
  addEventListener('resize', resized);
  addEventListener('focus', focus);
  addEventListener('blur', focus);
  const end = watch(box, now => {
    seen = now;
    scrolled();
    again();
  });
  return () => {
    end();
    clearTimeout(timer);
    box.removeEventListener('scroll', scrolled);
    removeEventListener('resize', resized);
    removeEventListener('focus', focus);
    removeEventListener('blur', focus);
    button.disabled = true;
  };
}
