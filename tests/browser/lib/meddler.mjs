// Stands before a relay, or in place of one, and meddles with what passes: every message of a node's
// socket, and every answer over HTTP.
import { createServer, request as ask } from 'node:http';
import { WebSocket, WebSocketServer } from 'ws';
import { read } from './cbor.mjs';
import { until } from './wait.mjs';

/**
 * `to`: the relay's address, set once it is there; without one, a socket has the test at its other
 * end. `toNode(bytes, socket)` gives what passes in place of a message: bytes, or nothing.
 * `http(request, answer)` may answer, and then says true. `sockets`: all that came, the last one last.
 */
export async function meddler(t) {
  const meddling = { to: undefined, toNode: bytes => bytes, http: () => false, sockets: [] };
  const server = createServer((request, answer) => {
    if (meddling.http(request, answer)) return;
    if (!meddling.to) return void answer.writeHead(404).end();
    const { host, ...headers } = request.headers;
    const through = ask(meddling.to + request.url, { method: request.method, headers }, from => {
      answer.writeHead(from.statusCode, from.headers);
      from.pipe(answer);
    });
    through.on('error', () => answer.destroy());
    request.pipe(through);
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (node, { url }) => meddling.sockets.push(new Socket(meddling, node, url)));
  await new Promise(ready => server.listen(0, '127.0.0.1', ready));
  meddling.url = `http://127.0.0.1:${server.address().port}`;
  t.after(() => {
    for (const { node, relay } of meddling.sockets) for (const end of [node, relay]) end?.terminate();
    server.closeAllConnections();
    return new Promise(done => server.close(done));
  });
  return meddling;
}

/** One node's connection: what it said, as `{number, fields, bytes}`. */
class Socket {
  heard = [];

  constructor(meddling, node, url) {
    this.node = node;
    node.on('error', () => {});
    if (meddling.to) {
      this.relay = new WebSocket(meddling.to.replace('http', 'ws') + url);
      this.open = new Promise(open => this.relay.once('open', open));
      this.relay.on('error', () => node.terminate());
      this.relay.on('close', () => node.close());
      this.relay.on('message', bytes => this.say(meddling.toNode(bytes, this)));
      node.on('close', () => this.relay.close());
    }
    node.on('message', async bytes => {
      this.heard.push({ ...read(bytes), bytes });
      await this.open;
      this.relay?.send(bytes);
    });
  }

  /** To the node: binary, or as it is. */
  say(message) {
    if (message !== undefined && this.node.readyState === WebSocket.OPEN) this.node.send(message);
  }

  /** Waits for a message of this kind. */
  hears(number, count = 1) {
    const found = () => this.heard.filter(message => message.number === number);
    return until(`the node says ${number}`, () => found().length >= count && found().at(-1), 30_000);
  }
}
