// The widget on other sites' pages: draws a button, and nothing else before it is clicked.
//
//   <script type="module" src="https://RELAY/embed.js" data-site="KEY"></script>
//   <grid-node><svg width="280" height="56"></svg></grid-node>
//
// Without <grid-node> it stands in the corner of the window. docs/embed.md has all of it.

const RELAY = new URL(import.meta.url).origin;
const MINE = [...document.scripts].find(({ src }) => src === import.meta.url);
/** That the frame ran, so that the next page of this session opens it again. */
const SESSION = 'grid-node';
const ANSWER_MS = 20_000;
/** A page that is left may be kept as it was, and with it what runs there, and come back. */
const HEARD = ['message', 'pagehide', 'pageshow'];

const WORDS = {
  en: ['Lend computing power', 'Nothing runs yet', 'Computing for others', 'Paused', 'Connecting',
    'Can’t be reached', 'Grid: computing for others', 'Ready'],
  es: ['Prestar potencia de cálculo', 'Todavía no se ejecuta nada', 'Calculando para otros', 'En pausa',
    'Conectando', 'No se puede alcanzar', 'Grid: calcular para otros', 'Listo'],
  zh: ['出借算力', '目前没有运行任何内容', '正在为他人计算', '已暂停', '正在连接', '无法连接', 'Grid：为他人计算', '就绪'],
};
const SAID = { off: 1, asking: 1, working: 2, paused: 3, connecting: 4, failed: 5, waiting: 7 };

const SHEET = new CSSStyleSheet();
SHEET.replaceSync(`
:host {
  display: inline-block; width: 280px; height: 56px; overflow: hidden; contain: layout;
  color-scheme: light dark;
  --accent: var(--grid-accent, light-dark(#0b7a57, #3ecf9a));
  --text: var(--grid-text, light-dark(#16211d, #e7efec));
  --back: var(--grid-back, light-dark(#ffffff, #131917));
  --line: var(--grid-line, light-dark(#dbe4e0, #2b3632));
  font: 14px/1.3 var(--grid-font, system-ui, sans-serif);
}
:host([data-theme='light']) { color-scheme: light; }
:host([data-theme='dark']) { color-scheme: dark; }
:host([data-place='corner']) { position: fixed; right: 16px; bottom: 16px; z-index: 2147483647; }
button {
  display: flex; align-items: center; gap: 12px; width: 100%; height: 100%; padding: 0 16px;
  border: 1px solid var(--line); border-radius: var(--grid-radius, 14px);
  font: inherit; text-align: start; color: var(--text); background: var(--back); cursor: pointer;
}
button:hover { border-color: var(--accent); }
button:focus-visible { outline: 2px solid var(--accent); outline-offset: -3px; }
i { flex: none; display: grid; grid-template: repeat(2, 9px) / repeat(2, 9px); gap: 2px; }
i::before, i::after, i b { content: ''; border-radius: 2px; background: var(--accent); }
i b { opacity: 0.55; }
strong { display: block; font-weight: 600; }
small { font-size: 12px; opacity: 0.8; }
iframe {
  box-sizing: border-box; position: fixed; inset: 0 16px auto auto; width: min(340px, 100vw - 32px); height: 96px;
  transform: translateY(calc(100dvh - 100% - 16px)); /* At the bottom, and growing is no layout shift. */
  max-height: calc(100vh - 32px); margin: 0; padding: 0; border: 1px solid var(--line);
  border-radius: var(--grid-radius, 14px); background: var(--back); z-index: 2147483647;
}
@media (max-width: 380px) { iframe { inset: 0 0 auto 0; width: 100vw; transform: translateY(calc(100dvh - 100%)); } }
`);

function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

/** The widget that is open: one in each document. */
let open;

class GridNode extends HTMLElement {
  #root = this.attachShadow({ mode: 'closed' });
  #state = 'off';
  #why = '';
  #said = element('small');
  #button;
  #frame;
  #late;

  constructor() {
    super();
    this.#root.adoptedStyleSheets = [SHEET];
  }

  /** `off`, `asking`, `connecting`, `waiting`, `working`, `paused` or `failed`. */
  get state() {
    return this.#state;
  }

  /** Why it doesn't work, in the visitor's language. */
  get why() {
    return this.#why;
  }

  connectedCallback() {
    const words = this.#words;
    this.#button = element('button', element('i', element('b'), element('b')),
      element('span', element('strong', words[0]), this.#said));
    this.#button.type = 'button';
    // Only a click of the visitor's own.
    this.#button.onclick = event => event.isTrusted && this.#open(false);
    this.#root.replaceChildren(this.#button);
    this.#say('off');
    for (const kind of HEARD) addEventListener(kind, this);
    // Who makes elements by script may say their site after they are in the page.
    queueMicrotask(() => this.isConnected && remembered() && this.#open(true));
  }

  disconnectedCallback() {
    for (const kind of HEARD) removeEventListener(kind, this);
    this.#close('off');
  }

  /** Ends what runs. Anyone may: nothing but a visitor's click starts it. */
  stop() {
    // A frame that hasn't answered may not hear it.
    if (this.#late) {
      remember(false);
      return this.#close('off');
    }
    this.#frame?.contentWindow?.postMessage({ grid: 'stop' }, RELAY);
  }

  get #site() {
    return this.dataset.site ?? MINE?.dataset.site ?? '';
  }

  get #language() {
    const asked = [this.dataset.lang ?? MINE?.dataset.lang ?? [], ...navigator.languages].flat();
    return asked.map(tag => tag.slice(0, 2).toLowerCase()).find(tag => tag in WORDS) ?? 'en';
  }

  get #words() {
    return WORDS[this.#language];
  }

  /** The frame is the relay's: what it asks and what it runs is out of this page's reach. */
  #open(resume) {
    if (this.#frame || (open && open !== this)) return;
    open = this;
    const frame = this.#frame = element('iframe');
    frame.src = `${RELAY}/embed/${encodeURIComponent(this.#site)}`;
    frame.allow = 'storage-access';
    frame.title = this.#words[6];
    frame.onload = () => {
      const theme = this.dataset.theme ?? 'auto';
      frame.contentWindow?.postMessage({ grid: 'hello', resume, language: this.#language, theme }, RELAY);
    };
    this.#late = setTimeout(() => this.#close('failed'), ANSWER_MS);
    // Above everything else of the page, where the browser can.
    frame.popover = 'manual';
    this.#root.append(frame);
    frame.showPopover?.();
    if (!resume) this.#say('connecting');
  }

  #answered() {
    clearTimeout(this.#late);
    this.#late = undefined;
  }

  #close(state) {
    this.#answered();
    this.#frame?.remove();
    this.#frame = undefined;
    if (open === this) open = undefined;
    this.#say(state);
  }

  handleEvent({ type, persisted, source, origin, data }) {
    if (type === 'pagehide') return this.#close('off');
    if (type === 'pageshow') return persisted && remembered() && this.#open(true);
    if (!this.#frame || source !== this.#frame.contentWindow || origin !== RELAY) return;
    const { grid, why, height, focus } = data ?? {};
    if (!(grid in SAID)) return;
    this.#answered();
    remember(['connecting', 'waiting', 'working', 'paused'].includes(grid));
    if (grid === 'off') return this.#close('off');
    if (height > 0) this.#frame.style.height = `${Math.min(height, 560) + 2}px`;
    if (focus) this.#frame.focus();
    this.#say(grid, String(why ?? ''));
  }

  #say(state, why = '') {
    this.#said.textContent = this.#words[SAID[state]];
    if (state === this.#state && why === this.#why) return;
    [this.#state, this.#why] = [state, why];
    this.dispatchEvent(new CustomEvent('grid-state', {
      bubbles: true, composed: true, detail: { state, why },
    }));
  }
}

// In this session of this page's site; the agreement itself is the frame's to keep.
function remembered() {
  try {
    return sessionStorage.getItem(SESSION) !== null;
  } catch {
    return false;
  }
}

function remember(runs) {
  try {
    if (runs) sessionStorage.setItem(SESSION, '');
    else sessionStorage.removeItem(SESSION);
  } catch { /* The next page asks again. */ }
}

if (!customElements.get('grid-node')) {
  customElements.define('grid-node', GridNode);
  window.gridNode = Object.freeze({
    get state() {
      return open?.state ?? document.querySelector('grid-node')?.state ?? 'off';
    },
    stop: () => open?.stop(),
  });
  if (!document.querySelector('grid-node')) {
    const corner = element('grid-node');
    corner.dataset.place = 'corner';
    document.body.append(corner);
  }
}
