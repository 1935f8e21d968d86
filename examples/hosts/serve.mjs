// Serves the sample pages that hold the widget:
//
//   node serve.mjs --relay http://127.0.0.1:8090 --site KEY [--port 8000]
//
// /plain/, /strict/ (with a content policy) and /app/ (one page that changes).
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';

const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css' };
const FILES = ['plain/index.html', 'strict/index.html', 'app/index.html', 'app/app.js', 'page.css'];

/** The policy of /strict/: its own files, and one line's worth of the relay. */
export const policy = relay =>
  `default-src 'none'; style-src 'self'; img-src data:; script-src ${relay}; frame-src ${relay}; `
  + "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/** Starts it on a port of loopback; gives `{port, stop()}`. Relay and site may be told later. */
export async function serve(told) {
  const server = createServer(async ({ url }, answer) => {
    const path = new URL(url, 'http://host').pathname.slice(1).replace(/^app\/(?!app\.js).*$/, 'app/');
    const name = path.endsWith('/') || !path ? `${path || 'plain/'}index.html` : path;
    if (!FILES.includes(name)) return answer.writeHead(404).end();
    const text = await readFile(fileURLToPath(new URL(name, import.meta.url)), 'utf8');
    answer.setHeader('content-type', TYPES[extname(name)]);
    if (name === 'strict/index.html') answer.setHeader('content-security-policy', policy(told.relay));
    answer.end(text.replaceAll('https://relay.example', told.relay).replaceAll('SITE_KEY', told.site));
  });
  await new Promise(ready => server.listen(told.port ?? 0, '127.0.0.1', ready));
  return { port: server.address().port, stop: () => server.close() };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { relay: { type: 'string' }, site: { type: 'string' }, port: { type: 'string', default: '8000' } },
  });
  const { port } = await serve({ ...values, port: Number(values.port) });
  console.log(`http://localhost:${port}/plain/  /strict/  /app/`);
}
