// Counts whoever connects to it.
import { createServer } from 'node:net';

export async function trapServer(test) {
  const server = createServer(socket => {
    trap.connections += 1;
    socket.on('error', () => {});
    socket.destroy();
  });
  const trap = { connections: 0 };
  await new Promise(ready => server.listen(0, '127.0.0.1', ready));
  trap.host = `127.0.0.1:${server.address().port}`;
  test.after(() => new Promise(done => server.close(done)));
  return trap;
}
