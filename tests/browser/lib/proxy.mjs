// Stands before a relay, counts the node sockets that pass, and can keep answers back.
import { connect, createServer } from 'node:net';

export async function proxy() {
  /** `hold`: what requests begin with that aren't answered; `held`: those that wait for it. */
  const passing = { sockets: 0, to: undefined, hold: undefined, held: new Set() };
  const server = createServer(client => {
    const { hostname, port } = new URL(passing.to);
    const relay = connect(Number(port), hostname);
    client.once('data', first => {
      if (first.toString('latin1').startsWith('GET /v1/node ')) passing.sockets += 1;
    });
    client.on('data', piece => {
      if (!passing.hold || !piece.toString('latin1').startsWith(passing.hold)) return;
      relay.unpipe(client);
      passing.held.add(client);
      client.once('close', () => passing.held.delete(client));
    });
    for (const [from, to] of [[client, relay], [relay, client]]) {
      from.on('error', () => to.destroy());
      from.pipe(to);
    }
  });
  await new Promise(ready => server.listen(0, '127.0.0.1', ready));
  passing.url = `http://127.0.0.1:${server.address().port}`;
  passing.stop = () => new Promise(done => server.close(done));
  return passing;
}
