// The words of the extension: all there, in every language.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from '../lib/wait.mjs';

const folder = fileURLToPath(new URL('../../../extension', import.meta.url));
const LANGUAGES = { en: 'en', es: 'es', zh_CN: 'zh-CN' };
const messages = Object.fromEntries(readdirSync(join(folder, '_locales')).map(language =>
  [language, JSON.parse(readFileSync(join(folder, '_locales', language, 'messages.json'), 'utf8'))]));
/** Families of keys, which scripts put together from what the node says. */
const FAMILIES = /^(state|why|error)_/;

const text = readdirSync(folder).filter(name => /\.(js|html|json)$/.test(name))
  .map(name => readFileSync(join(folder, name), 'utf8')).join('\n');
const matches = pattern => [...text.matchAll(pattern)].map(([, key]) => key);

export default {
  async 'every word that is asked for is there, and every word is asked for'() {
    const asked = matches(/(?:data-(?:text|label)="|words\('|__MSG_)(\w+?)(?:"|'|__)/g);
    const missing = asked.filter(key => !(key in messages.en));
    assert.deepEqual(missing, []);
    // A choice between words names each of them somewhere.
    const named = new Set([...asked, ...matches(/'(\w+)'/g)]);
    const there = Object.keys(messages.en).filter(key => !FAMILIES.test(key));
    assert.deepEqual(there.filter(key => !named.has(key)), [], 'unused');
    const source = name => readFileSync(join(folder, '../crates/node/src', name), 'utf8');
    for (const [name, type] of [['state', 'State'], ['why', 'Why']]) {
      const [, variants] = new RegExp(`pub enum ${type} \\{(.*?)\\n\\}`, 's').exec(source('status.rs'));
      const keys = [...variants.matchAll(/^ {4}([A-Z]\w+)/gm)].map(([, variant]) =>
        `${name}${variant.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)}`);
      assert.deepEqual(Object.keys(messages.en).filter(key => key.startsWith(`${name}_`)).sort(), keys.sort());
    }
  },

  async 'every language has all of them, with the same values in them'() {
    assert.deepEqual(Object.keys(messages).sort(), Object.keys(LANGUAGES).sort());
    const shape = language => Object.fromEntries(Object.entries(messages[language])
      .map(([key, { message, placeholders = {} }]) => {
        const values = [...message.matchAll(/\$(\w+)\$/g)].map(([, name]) => name.toLowerCase());
        for (const name of values) assert.ok(name in placeholders, `${language}: ${key}: ${name}`);
        assert.ok(message.trim(), `${language}: ${key}`);
        return [key, [values.sort(), placeholders]];
      }));
    const english = shape('en');
    for (const [language, tag] of Object.entries(LANGUAGES)) {
      assert.deepEqual(shape(language), english, language);
      assert.equal(messages[language].lang.message, tag);
    }
  },

  async 'the browser shows them in its own language'(t) {
    const browser = await t.browser(undefined, ['--lang=es', '--accept-lang=es']);
    const popup = await browser.popup();
    if (await popup.evaluate(() => chrome.i18n.getUILanguage()) !== 'es') return; // Without its language packs.
    await until('it is Spanish', async () =>
      await popup.locator('#word').textContent() === messages.es.state_off.message, 30_000);
    assert.equal(await popup.evaluate(() => document.documentElement.lang), 'es');
  },
};
