// Keeps what the pages are made of, so that they open without the relay. What
// the relay answers is never kept here: a page that is off line says so, and
// from when what it shows is.
const SHELL = 'grid-shell';
/** What the node's page told that it is made of (www/node/tab.js). */
const NODE = 'grid-node';
const MOST = 100;
/** Beside what the document names: what is loaded when it is needed. */
const LATER = [
  'worker.js', 'grid_checker.js', 'grid_checker_bg.wasm', 'uPlot.iife.min.js', '192.png',
];

/** Fetches the shell whole, and only then forgets the one before. */
async function renew() {
  const page = await fetch('./', { cache: 'no-cache' });
  if (!page.ok) throw new Error(`the relay answered ${page.status}`);
  const html = await page.clone().text();
  const named = [...html.matchAll(/<(?:link|script)\b[^>]*\b(?:href|src)="([^":#]+)"/g)].map(([, name]) => name);
  const urls = [...new Set([...named, ...LATER])].map(name => new URL(name, registration.scope).href);
  const cache = await caches.open(SHELL);
  await cache.addAll(urls.map(url => new Request(url, { cache: 'no-cache' })));
  await cache.put('./', page);
  const wanted = new Set([...urls, registration.scope]);
  for (const request of await cache.keys()) {
    if (!wanted.has(request.url)) await cache.delete(request);
  }
}

/** Keeps these files of the node's page, and forgets those before. */
async function keep(urls) {
  const own = urls.filter(url => url.startsWith(`${registration.scope}node/`)).slice(0, MOST);
  const cache = await caches.open(NODE);
  await cache.addAll(own.map(url => new Request(url, { cache: 'no-cache' })));
  for (const request of await cache.keys()) {
    if (!own.includes(request.url)) await cache.delete(request);
  }
}

/** From the network; what is kept, where there is none. */
async function fresh(request, key, cacheName = SHELL) {
  try {
    return await fetch(request);
  } catch (error) {
    const kept = await caches.match(key, { cacheName });
    if (!kept) throw error;
    return kept;
  }
}

addEventListener('install', event => {
  skipWaiting();
  event.waitUntil(renew());
});
addEventListener('activate', event => event.waitUntil(clients.claim()));
addEventListener('message', event => event.waitUntil(keep(event.data.keep).catch(() => {})));
addEventListener('fetch', event => {
  const { request } = event;
  if (request.method !== 'GET' || !request.url.startsWith(registration.scope)) return;
  const path = request.url.slice(registration.scope.length).replace(/[?#].*/, '');
  if (path === '' && request.mode === 'navigate') {
    event.respondWith(fresh(request, './'));
    // Another version of the pages may be served by now.
    event.waitUntil(renew().catch(() => {}));
  } else if (/-[0-9a-f]{16}\.\w+$/.test(path) && !path.includes('/')) {
    // Its name changes with its content.
    event.respondWith(caches.match(request, { cacheName: SHELL }).then(kept => kept ?? fetch(request)));
  } else if (/^[\w.-]+\.(?:js|wasm|png|svg|webmanifest)$/.test(path)) {
    event.respondWith(fresh(request, request));
  } else if (path.startsWith('node/')) {
    event.respondWith(fresh(request, request, NODE));
  }
});
