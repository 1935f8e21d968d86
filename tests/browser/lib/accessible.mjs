// What axe finds in a page, of Chromium (Playwright) or Firefox (puppeteer), in both themes.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const THEMES = ['light', 'dark'];

/** Shows the page in a theme. A sheet made by script is what the extension's policy lets in. */
const theme = (page, scheme) => page.evaluate(scheme => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`:root, body, .grid { color-scheme: ${scheme} !important; }
    * { transition: none !important; animation: none !important; }`);
  document.adoptedStyleSheets = [sheet];
}, scheme);

/**
 * Fails where axe finds something, or the page is wider than the window. GRID_SHOTS names a folder
 * for a picture of each theme.
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
    if (process.env.GRID_SHOTS) {
      mkdirSync(process.env.GRID_SHOTS, { recursive: true });
      const path = join(process.env.GRID_SHOTS, `${name}-${scheme}.png`);
      // A popup is as high as what it shows.
      if (name.includes('popup')) await (await page.$('body')).screenshot({ path });
      else await page.screenshot({ path, fullPage: true });
    }
  }
}
