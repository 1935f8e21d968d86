// Counts whoever connects to it, and what they first say.
import { createServer } from 'node:net';

export async function trapServer(test) {
  const trap = { connections: 0, heard: [] };
  const server = createServer(socket => {
    trap.connections += 1;
    socket.on('error', () => {});
    socket.once('data', data => {
      trap.heard.push(data.toString('latin1').split('\r\n')[0]);
      socket.destroy();
    });
  });
  await new Promise(ready => server.listen(0, '127.0.0.1', ready));
  trap.host = `127.0.0.1:${server.address().port}`;
  test.after(() => {
    server.close();
  });
  return trap;
}
