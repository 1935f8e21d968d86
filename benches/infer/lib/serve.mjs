// Files on loopback, to a page that is cross-origin isolated.
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TYPES = {
  '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm',
};

/** Serves this package at `/` and each folder of `folders` at its prefix. */
export async function serve(folders) {
  const file = url => {
    const path = normalize(decodeURIComponent(new URL(url, 'http://localhost').pathname));
    for (const [prefix, folder] of Object.entries(folders)) {
      if (folder && path.startsWith(prefix)) {
        return join(folder, path.slice(prefix.length));
      }
    }
    return join(ROOT, path);
  };
  const server = createServer((request, response) => {
    const path = file(request.url);
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found?.isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
      'content-length': found.size,
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
      'cross-origin-resource-policy': 'same-origin',
    });
    createReadStream(path).pipe(response);
  });
  await new Promise(done => { server.listen(0, '127.0.0.1', done); });
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    stop: () => new Promise(done => { server.close(done); server.closeAllConnections(); }),
  };
}
