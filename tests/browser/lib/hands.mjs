// Somebody's hands on a page: what is typed and scrolled, and how long each
// event takes until what it changed is on the screen.

const PAGE = `<!doctype html><meta charset="utf-8"><title>A page in use</title>
<style>
  body { margin: 0; font: 16px/1.5 sans-serif; }
  textarea { position: fixed; inset: 0 0 auto; height: 6em; width: 100%; }
  main { margin: 8em auto 0; max-width: 45em; }
</style>
<textarea id="text"></textarea><main></main>
<script>
  const words = 'the quick brown fox jumps over a lazy dog and comes back again'.split(' ');
  for (let at = 0; at < 200; at += 1) {
    const p = document.createElement('p');
    p.textContent = Array.from({ length: 40 }, (_, word) => words[(at * 7 + word * 3) % words.length]).join(' ');
    document.querySelector('main').append(p);
  }
  const channel = new MessageChannel();
  let waiting = [];
  self.latencies = [];
  // The task after a frame's own steps comes when the frame was handed on to be shown.
  channel.port1.onmessage = () => {
    const now = performance.now();
    for (const at of waiting) latencies.push(now - at);
    waiting = [];
  };
  const seen = event => {
    waiting.push(event.timeStamp);
    if (waiting.length === 1) requestAnimationFrame(() => channel.port2.postMessage(0));
  };
  addEventListener('keydown', seen, { capture: true, passive: true });
  addEventListener('wheel', seen, { capture: true, passive: true });
  // A heavy page lays out and paints all of itself anew for each letter.
  self.heavy = () => addEventListener('keydown', () => {
    const { style } = document.querySelector('main');
    style.letterSpacing = style.letterSpacing ? '' : '0.01em';
  });
</script>`;

/** A page to work in: light as most are, or one whose own drawing keeps the device busy. */
export async function desk(context, heavy = false) {
  const page = await context.newPage();
  await page.setViewportSize({ width: 1000, height: 700 });
  await page.setContent(PAGE);
  if (heavy) await page.evaluate(() => self.heavy());
  await page.locator('#text').focus();
  await page.mouse.move(500, 500);
  return page;
}

/** Types and scrolls for so many milliseconds; the latency of each event, in milliseconds. */
export async function use(page, ms) {
  await page.bringToFront();
  await page.evaluate(() => (latencies.length = 0));
  const end = Date.now() + ms;
  for (let at = 0; Date.now() < end; at += 1) {
    await page.keyboard.press('abcdefghij '[at % 11]);
    if (at % 4 === 3) await page.mouse.wheel(0, at % 8 === 7 ? -120 : 160);
    // tidy-allow(sleep): the pace of a fast typist.
    await page.waitForTimeout(25);
  }
  return page.evaluate(() => latencies.slice());
}

/** The value below which so many of a hundred lie. */
export function percentile(values, percent) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * percent / 100))];
}
