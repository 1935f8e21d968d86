// The account in the settings: made here or entered, its recovery phrase, who invited, and what it
// asks of its relay, which wants that signed.
import { explain, fill, save, say } from './words.js';

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
    <button id="invite" type="button" class="act" data-text="invite"></button>
    <p id="invited_link" class="line" hidden><input id="link" readonly data-label="invite_link">
      <button id="copy" type="button" class="act" data-text="copy"></button> <span id="copied" role="status"></span></p>
  </div>
  <details id="at_relay">
    <summary data-text="account_there"></summary>
    <div>
      <h2 data-text="team"></h2>
      <p id="team" role="status"></p>
      <div id="teamless" hidden>
        <p class="line"><input id="team_name" maxlength="32" spellcheck="false" autocomplete="off" data-label="team_name">
          <button id="team_join" type="button" class="act" data-text="team_join"></button>
          <button id="team_make" type="button" class="act" data-text="team_make"></button></p>
      </div>
      <button id="team_leave" type="button" class="act" data-text="team_leave" hidden></button>
      <h2 data-text="site"></h2>
      <p id="site_hint" class="soft" data-text="site_hint"></p>
      <p class="line"><input id="site_name" maxlength="32" spellcheck="false" autocomplete="off" aria-describedby="site_hint" data-label="site_name">
        <input id="site_origin" type="url" spellcheck="false" autocomplete="off" data-label="site_origin">
        <button id="site_make" type="button" class="act" data-text="site_make"></button></p>
      <p id="site_made" hidden><a target="_blank" rel="noopener" data-text="site_page"></a></p>
      <h2 data-text="export"></h2>
      <p id="export_hint" class="soft" data-text="export_hint"></p>
      <button id="export" type="button" class="act" aria-describedby="export_hint" data-text="export_save"></button>
      <h2 data-text="account_delete"></h2>
      <p id="delete_hint" class="soft" data-text="account_delete_hint"></p>
      <button id="account_delete" type="button" class="act bad" aria-describedby="delete_hint" data-text="account_delete_now"></button>
    </div>
  </details>
  <div id="signing" hidden>
    <label class="text"><span><b id="sign_what"></b> <span data-text="sign_words"></span></span>
      <textarea id="sign_words" rows="2" spellcheck="false" autocomplete="off" autocapitalize="off"></textarea></label>
    <button id="sign" type="button" class="act" data-text="sign"></button>
  </div>
  <button id="account_leave" type="button" class="act" data-text="account_leave"></button>
</div>
<p id="account_said" role="status"></p>
<label class="text"><span data-text="invited"></span>
  <input id="invited" spellcheck="false" autocomplete="off" aria-describedby="invited_hint"></label>
<p id="invited_hint" class="soft hint" data-text="invited_hint"></p>
<p id="account_error" class="bad" role="alert" hidden></p>`;

/** An answer that takes longer is said to be awaited. */
const WAITS_MS = 1_000;

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
    if (text) $('account_error').scrollIntoView({ block: 'nearest' });
  };
  const said = text => {
    say($('account_said'), text);
    if (text) $('account_said').scrollIntoView({ block: 'nearest' });
  };
  let busy = false;
  const act = async step => {
    if (busy) return;
    busy = true;
    error('');
    said('');
    const waits = setTimeout(() => said(words('asking')), WAITS_MS);
    try {
      said(await step() ?? '');
    } catch (failure) {
      said('');
      error(explain(words, failure));
    }
    clearTimeout(waits);
    busy = false;
  };
  const tell = async message => told(await ask(message));

  // What is to be signed waits for the words where they aren't kept here.
  let waiting;
  const sign = (button, step) => act(async () => {
    if (!$('kept').hidden) return focused(button, await step({}));
    waiting = async by => focused(button, await step(by));
    say($('sign_what'), `${button.textContent}:`);
    $('signing').hidden = false;
    $('sign_words').focus();
  });
  const signed = () => {
    waiting = undefined;
    $('sign_words').value = '';
    $('signing').hidden = true;
  };
  $('sign').onclick = () => act(() => waiting({ phrase: $('sign_words').value }));
  // What was clicked may be gone: who uses the keyboard goes on beside it.
  const focused = (button, text) => {
    const seen = element => element?.checkVisibility();
    signed();
    if (!seen(document.activeElement) || document.activeElement === document.body) {
      [button, $('at_relay').firstElementChild, $('account_new')].find(seen)?.focus();
    }
    return text;
  };

  const showPerson = ({ team, closed }) => {
    const name = team && (team.name ?? words('team_unnamed'));
    say($('team'), closed ? words('account_closed') : team ? words('team_of', name) : words('team_none'));
    $('team_leave').hidden = !team;
    $('teamless').hidden = Boolean(team) || closed;
    $('team').dataset.name = team?.name ?? '';
  };
  // Asked for when it is opened: nothing goes to the relay before a click.
  $('at_relay').ontoggle = () => {
    if (!$('at_relay').open) return;
    say($('team'), words('asking'));
    $('team_leave').hidden = $('teamless').hidden = true;
    act(async () => {
      try {
        showPerson(await ask({ kind: 'person' }));
      } catch (failure) {
        say($('team'), '');
        throw failure;
      }
    });
  };
  const team = (button, step, name) => sign(button, async by => {
    showPerson(await ask({ kind: 'team', step, name, ...by }));
    $('team_name').value = '';
  });
  $('team_name').placeholder = words('team_name');
  const named = () => $('team_name').value.trim();
  $('team_join').onclick = () => team($('team_join'), 'join', named());
  $('team_make').onclick = () => team($('team_make'), 'make', named());
  $('team_name').onkeydown = ({ key, isComposing }) => {
    if (key === 'Enter' && !isComposing) $('team_join').click();
  };
  $('team_leave').onclick = () => {
    const { name } = $('team').dataset;
    if (confirm(words('team_sure', name))) team($('team_leave'), 'leave', name);
  };
  $('site_name').placeholder = words('site_name');
  $('site_origin').placeholder = 'https://example.org';
  $('site_make').onclick = () => sign($('site_make'), async by => {
    const name = $('site_name').value.trim();
    const page = $('site_made').firstElementChild;
    page.href = await ask({ kind: 'site', name, origin: origin($('site_origin').value), ...by });
    $('site_made').hidden = false;
    page.focus();
  });
  $('export').onclick = () => sign($('export'), async by => {
    save('grid-account.json', await ask({ kind: 'account_export', ...by }));
    return words('exported');
  });
  $('account_delete').onclick = () => {
    if (!confirm(words('account_delete_sure'))) return;
    sign($('account_delete'), async by => {
      await tell({ kind: 'account_delete', ...by });
      return words('account_deleted');
    });
  };

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
    await tell({ kind: 'account_leave' });
  });
  $('invite').onclick = () => sign($('invite'), by => tell({ kind: 'invite', ...by }));
  $('copy').onclick = () => act(async () => {
    await navigator.clipboard.writeText($('link').value);
    say($('copied'), words('copied'));
  });
  $('invited').onchange = () => act(() => tell({ kind: 'invited', code: $('invited').value }));

  // What is shown of an account, or typed for it, goes with it.
  let shown = null;
  const change = key => {
    if (key === shown) return;
    shown = key;
    show('');
    signed();
    $('at_relay').open = false;
    for (const field of ['team_name', 'site_name', 'site_origin']) $(field).value = '';
    $('site_made').hidden = true;
  };

  return {
    render({ account: { key, phrase, invitation, link } }) {
      change(key);
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

/** The origin of an address; the relay says what is wrong with what isn't one. */
function origin(address) {
  try {
    return new URL(address.trim()).origin;
  } catch {
    return address.trim();
  }
}
