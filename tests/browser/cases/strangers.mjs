// What answers at the relay's address is no relay, or none that keeps to the protocol: a tab's node
// says so, stays alive, and tries again. In Chromium and in Firefox.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { change, EAGER, fresh, ready, tab, view } from '../lib/lend.mjs';
import { ENGINES, inBetween } from '../lib/pages.mjs';
import { until } from '../lib/wait.mjs';

const ACCEPT = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const TEXT = 1;
const BINARY = 2;

/** One WebSocket frame of a server's (RFC 6455, 5.2). */
function framed(payload, kind = BINARY) {
  const head = Buffer.alloc(10);
  head.writeUInt8(0x80 | kind, 0);
  if (payload.length < 126) head.writeUInt8(payload.length, 1);
  else if (payload.length < 65_536) head.writeUInt16BE(payload.length, head.writeUInt8(126, 1));
  else head.writeBigUInt64BE(BigInt(payload.length), head.writeUInt8(127, 1));
  return Buffer.concat([head.subarray(0, payload.length < 126 ? 2 : payload.length < 65_536 ? 4 : 10), payload]);
}

/** `[0, {0: version, 1: key, 2: origin, 3: nonce}]`, the greeting of a relay. */
const greeting = version => Buffer.concat([
  Buffer.from([0x82, 0, 0xa4, 0, version, 1, 0x58, 32]), Buffer.alloc(32, 7),
  Buffer.from([2, 0x60, 3, 0x58, 32]), Buffer.alloc(32, 9),
]);

/** What is sent first, and what the page says of it. */
const GREETINGS = [
  [framed(Buffer.from(Array.from({ length: 500 }, (_, at) => at * 73 + 11))), /not a message/],
  [framed(Buffer.alloc(2 ** 25, 0x81)), /bytes, more than/],
  [framed(Buffer.from('{"hello": "node"}'), TEXT), /not a message/],
  // Lists in lists; a list that claims 2^64 values; values of another shape.
  [framed(Buffer.alloc(60_000, 0x81)), /not a message/],
  [framed(Buffer.from('9bffffffffffffffff', 'hex')), /not a message/],
  [framed(Buffer.from('8203a10080', 'hex')), /unexpected type/],
  [framed(greeting(9)), /chose version 9, which this node doesn't speak/, 'refused'],
  [framed(greeting(1)), /calls itself/, 'refused'],
  // A welcome before anything was proved.
  [framed(Buffer.from('8201a400197530018002000300', 'hex')), /out of order/],
];

const tests = {};
for (const engine of ENGINES) {
  tests[`none of them harms the node's page (${engine})`] = async t => {
    const real = await t.relay({ believing: true });
    let sockets = 0;
    let greets;
    const strange = await inBetween(t, real, {}, (request, socket) => {
      sockets += 1;
      const accept = createHash('sha1').update(request.headers['sec-websocket-key'] + ACCEPT).digest('base64');
      socket.on('error', () => {});
      socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n'
        + `sec-websocket-accept: ${accept}\r\n\r\n`);
      socket.write(greets);
    });
    const browser = await fresh(t, engine);
    const made = await tab(browser, strange);
    await ready(made);
    await change(made, EAGER);
    for (const [greeting, says, why = 'unreachable'] of GREETINGS) {
      const before = sockets;
      greets = greeting;
      if (before) await made.reload();
      else await made.click('#switch');
      await ready(made);
      await until(`it says ${says}`, async () => says.test(await made.$eval('#error',
        element => element.checkVisibility() && element.textContent)), 40_000);
      assert.ok(sockets > before);
      await until(`it is ${why}`, async () => {
        const shown = await view(made);
        return shown.state === 'connecting' && shown.why === why;
      }, 40_000);
    }
    // It tries again by itself, a minute later.
    const before = sockets;
    if (engine === 'chromium') await until('it tries again', () => sockets > before, 120_000);
    await made.click('#switch');
    await until('it is off', async () => (await view(made)).state === 'off', 30_000);
    assert.equal((await real.network()).nodes_online, 0);
    // Firefox tells of sockets that a reload ended.
    assert.deepEqual(made.complaints.filter(text => !text.includes('was interrupted')), []);
  };
}
export default tests;
