// The account in the settings: made here or entered, its recovery phrase, who invited.
import { explain, fill, say } from './words.js';

const HTML = `
<legend data-text="account"></legend>
<p class="soft" data-text="account_hint"></p>
<div id="no_account" hidden>
  <button id="account_new" type="button" class="act" data-text="account_new"></button>
  <label class="text"><span data-text="account_enter"></span>
    <textarea id="words" rows="2" spellcheck="false" autocomplete="off" autocapitalize="off"></textarea></label>
  <button id="account_enter" type="button" class="act" data-text="account_use"></button>
</div>
<div id="has_account" hidden>
  <p><span data-text="account_key"></span> <code id="account_key"></code></p>
  <div id="kept" hidden>
    <p class="soft" data-text="phrase_hint"></p>
    <button id="phrase_show" type="button" class="act" aria-expanded="false" aria-controls="phrase" data-text="phrase_show"></button>
    <ol id="phrase" hidden></ol>
    <button id="account_written" type="button" class="act" data-text="phrase_written"></button>
  </div>
  <div id="inviting">
    <label id="invite_ask" class="text" hidden><span data-text="invite_words"></span>
      <textarea id="invite_words" rows="2" spellcheck="false" autocomplete="off" autocapitalize="off"></textarea></label>
    <button id="invite" type="button" class="act" data-text="invite"></button>
    <p id="invited_link" class="line" hidden><input id="link" readonly data-label="invite_link">
      <button id="copy" type="button" class="act" data-text="copy"></button> <span id="copied" role="status"></span></p>
  </div>
  <button id="account_leave" type="button" class="act" data-text="account_leave"></button>
</div>
<label class="text"><span data-text="invited"></span>
  <input id="invited" spellcheck="false" autocomplete="off" aria-describedby="invited_hint"></label>
<p id="invited_hint" class="soft hint" data-text="invited_hint"></p>
<p id="account_error" class="bad" role="alert" hidden></p>`;

/** Draws the account into `root`; `told(view)` hears each answer. */
export function account(root, { ask, words, told }) {
  root.replaceChildren(...new DOMParser().parseFromString(HTML, 'text/html').body.childNodes);
  const $ = id => root.querySelector(`#${id}`);
  fill(root, words);

  const show = phrase => {
    $('phrase').hidden = !phrase;
    $('phrase_show').setAttribute('aria-expanded', Boolean(phrase));
    say($('phrase_show'), words(phrase ? 'phrase_hide' : 'phrase_show'));
    $('phrase').replaceChildren(...(phrase ? phrase.split(' ') : []).map(word =>
      Object.assign(document.createElement('li'), { textContent: word })));
  };
  const error = text => {
    say($('account_error'), text);
    $('account_error').hidden = !text;
  };
  const act = async step => {
    error('');
    try {
      await step();
    } catch (failure) {
      error(explain(words, failure));
    }
  };
  const tell = async message => told(await ask(message));

  $('account_new').onclick = () => act(async () => {
    const phrase = await ask({ kind: 'account_new' });
    await tell({ kind: 'status' });
    show(phrase);
    $('phrase_show').focus();
  });
  $('account_enter').onclick = () => act(async () => {
    await tell({ kind: 'account_enter', phrase: $('words').value });
    $('words').value = '';
  });
  $('phrase_show').onclick = () => act(async () =>
    show($('phrase').hidden ? await ask({ kind: 'account_phrase' }) : ''));
  $('account_written').onclick = () => act(async () => {
    if (!confirm(words('phrase_sure'))) return;
    show('');
    await tell({ kind: 'account_written' });
  });
  $('account_leave').onclick = () => act(async () => {
    if (!confirm(words($('kept').hidden ? 'account_sure' : 'account_lose'))) return;
    show('');
    await tell({ kind: 'account_leave' });
  });
  $('invite').onclick = () => act(async () => {
    const phrase = $('invite_words').value.trim();
    if ($('kept').hidden && !phrase) {
      $('invite_ask').hidden = false;
      $('invite_words').focus();
      return;
    }
    await tell(phrase ? { kind: 'invite', phrase } : { kind: 'invite' });
    $('invite_words').value = '';
    $('invite_ask').hidden = true;
  });
  $('copy').onclick = () => act(async () => {
    await navigator.clipboard.writeText($('link').value);
    say($('copied'), words('copied'));
  });
  $('invited').onchange = () => act(() => tell({ kind: 'invited', code: $('invited').value }));

  return {
    render({ account: { key, phrase, invitation, link } }) {
      $('no_account').hidden = Boolean(key);
      $('has_account').hidden = !key;
      $('kept').hidden = !phrase;
      $('invite').hidden = Boolean(link);
      $('invited_link').hidden = !link;
      $('link').value = link ?? '';
      say($('account_key'), key?.slice(0, 16) ?? '');
      $('account_key').title = key ?? '';
      if (document.activeElement !== $('invited')) $('invited').value = invitation ?? '';
    },
  };
}
