// Stands before a relay and counts the node sockets that pass.
import { connect, createServer } from 'node:net';

export async function proxy() {
  const passing = { sockets: 0, to: undefined };
  const server = createServer(client => {
    const { hostname, port } = new URL(passing.to);
    const relay = connect(Number(port), hostname);
    client.once('data', first => {
      if (first.toString('latin1').startsWith('GET /v1/node ')) passing.sockets += 1;
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
