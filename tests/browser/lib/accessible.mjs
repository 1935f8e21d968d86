// What axe finds in a page, of Chromium (Playwright) or Firefox (puppeteer), in both themes.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const THEMES = ['light', 'dark'];
const SHOTS = fileURLToPath(new URL('../../../docs/screenshots', import.meta.url));
/** What docs/screenshots shows of the extension. */
const SHOWN = [
  'popup-off-switched_off', 'popup-working-working', 'popup-paused-snoozed', 'popup-receipts',
  'settings', 'settings-phone', 'welcome',
].map(name => `extension-${name}`);

/** A picture of the page as WebP, which Playwright doesn't make. */
async function picture(page, name) {
  // A popup is as high as what it shows.
  const png = name.includes('popup')
    ? await (await page.$('body')).screenshot()
    : await page.screenshot({ fullPage: true });
  const webp = await page.evaluate(async png => {
    const image = await createImageBitmap(new Blob([Uint8Array.from(atob(png), char => char.charCodeAt(0))]));
    const canvas = new OffscreenCanvas(image.width, image.height);
    canvas.getContext('2d').drawImage(image, 0, 0);
    const blob = await canvas.convertToBlob({ type: 'image/webp', quality: 0.8 });
    const bytes = new Uint8Array(await blob.arrayBuffer());
    return btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(''));
  }, Buffer.from(png).toString('base64'));
  return Buffer.from(webp, 'base64');
}

/** Shows the page in a theme. A sheet made by script is what the extension's policy lets in. */
const theme = (page, scheme) => page.evaluate(scheme => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`:root, body, .grid { color-scheme: ${scheme} !important; }
    * { transition: none !important; animation: none !important; }`);
  document.adoptedStyleSheets = [sheet];
}, scheme);

/**
 * Fails where axe finds something, or the page is wider than the window. GRID_SHOTS=1 makes the
 * pictures in docs/screenshots anew.
 */
export async function accessible(page, name) {
  for (const scheme of THEMES) {
    await theme(page, scheme);
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
    assert.deepEqual(found, [], `${name}, ${scheme}`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${name} is ${wide} px too wide`);
    if (process.env.GRID_SHOTS && SHOWN.includes(name)) {
      writeFileSync(join(SHOTS, `${name}-${scheme}.webp`), await picture(page, name));
    }
  }
}
