// A hostile relay: whatever it sends, the node lives, says what is wrong, signs nothing that it
// shouldn't, and shows text as text.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { decode, encode, read } from '../lib/cbor.mjs';
import { meddler } from '../lib/meddler.mjs';
import { countdown, fnv, fnvOf } from '../lib/modules.mjs';
import { until } from '../lib/wait.mjs';

const WAIT = 30_000;
const [HELLO, JOIN, RESULT, GIVE_BACK] = [0, 1, 4, 5];
const [CHALLENGE, WELCOME, REFUSED, LEASE, ACK, REJECTED] = [0, 1, 2, 3, 4, 5];
const [UNABLE, FETCH] = [4, 3];
const MARKUP = '<img src=x onerror="document.title = \'owned\'"><b>bold</b>';

const message = (number, fields) => encode([number, new Map(Object.entries(fields).map(([key, value]) => [Number(key), value]))]);
const nested = depth => Buffer.concat([Buffer.from([0x82, 0x00, 0xa1, 0x18, 0x63]), Buffer.alloc(depth, 0x81), Buffer.from([0])]);
const challenge = fields => message(CHALLENGE, { 0: 1, 1: randomBytes(32), 3: randomBytes(32), ...fields });

/** What is no message for a node that said hello, and what the node says of it. */
const NONSENSE = {
  'noise': [randomBytes(1_000), /something else|out of order/],
  'nothing': [Buffer.alloc(0), /something else/],
  'text': ['{"hello": 1}', /something else/],
  'a challenge cut short': [challenge({ 2: 'http://127.0.0.1' }).subarray(0, 60), /something else/],
  'a challenge and more': [Buffer.concat([challenge({ 2: 'http://127.0.0.1' }), Buffer.from([0])]), /something else/],
  'a key that is too short': [message(CHALLENGE, { 0: 1, 1: randomBytes(31), 2: 'x', 3: randomBytes(32) }), /something else/],
  'a text of 2^60 bytes': [Buffer.from('8202a2000101'.concat('7b1000000000000000'), 'hex'), /something else/],
  'a list of 2^60 leases': [Buffer.from('8201a2000001'.concat('9b1000000000000000'), 'hex'), /something else/],
  'lists in lists': [nested(150_000), /something else/],
  'a frame of 100 MiB': [Buffer.alloc(100 << 20, 0x81), /something else.*bytes/],
  'a welcome before its turn': [message(WELCOME, { 0: 1, 1: [], 2: 2 ** 53, 3: 2 ** 53 }), /out of order/],
  'an acknowledgement before its turn': [message(ACK, { 0: randomBytes(32), 1: randomBytes(16), 2: 1, 3: randomBytes(64), 4: randomBytes(32), 5: 1, 6: randomBytes(32) }), /out of order/],
  'a refusal with markup': [message(REFUSED, { 0: 1, 1: MARKUP, 2: [1] }), /<img src=x/],
  'a refusal of 100 KB': [message(REFUSED, { 0: 3, 1: 'é'.repeat(50_000), 2: [1] }), /: é{250}$/],
  'the name of another relay': [challenge({ 2: 'http://other.example' }), /calls itself http:\/\/other.example/],
  'a name with markup': [challenge({ 2: MARKUP }), /calls itself <img/],
  'another version': [challenge({ 0: 7, 2: 'http://127.0.0.1' }), /version 7/],
};

/** The service worker that was there before is there, and answers. */
async function alive(browser) {
  const mark = await browser.worker.evaluate(() => (self.mark ??= Math.random()));
  const asked = performance.now();
  await browser.view();
  assert.ok(performance.now() - asked < 5_000);
  browser.mark ??= mark;
  assert.equal(mark, browser.mark, 'it was not started again');
}

/** The page has no elements but its own. */
async function plain(page) {
  assert.notEqual(await page.title(), 'owned');
  assert.equal(await page.locator('img:not(.mark, [src="icons/mark.svg"]), b:not(#sign_what)').count(), 0);
}

/** Each piece of nonsense on a socket of its own: it is told apart, and nothing is signed for it. */
async function nonsense(t, browser, then) {
  const liar = await meddler(t);
  await browser.switchOn(liar.url);
  await until('it connects', () => liar.sockets.length === 1, WAIT);
  for (const [name, [sent, said]] of Object.entries(NONSENSE)) {
    // Switched off and on, it doesn't wait before it tries again.
    const before = liar.sockets.length;
    await browser.change({ on: false });
    await browser.change({ on: true });
    const socket = await until(`it connects again, for ${name}`, () => liar.sockets[before], WAIT);
    await socket.hears(HELLO);
    socket.say(sent);
    await until(`it says what is wrong with ${name}`, async () => {
      const { state, error } = await browser.view();
      assert.match(`${state}: ${error}`, said);
      return state === 'connecting';
    }, WAIT);
    assert.deepEqual(socket.heard.map(({ number }) => number), [HELLO], `nothing is signed for ${name}`);
    await then(socket);
  }
}

/** A real relay behind one that meddles, and a browser that joined through it. */
async function meddled(t) {
  const between = await meddler(t);
  const relay = await t.relay({ args: ['--origin', between.url], believing: true });
  between.to = relay.url;
  const browser = await t.browser();
  await browser.switchOn(between.url);
  await browser.joined();
  await browser.page.waitForSelector('[data-state="waiting"]');
  return { between, relay, owner: relay.owner(), browser };
}

/** Meddles with messages of one kind; `change(fields)` may give other bytes. */
const meddle = (between, kind, change) => {
  between.toNode = (bytes, socket) => {
    const { number } = read(bytes);
    return number === kind ? change(bytes, socket) : bytes;
  };
};
/** A message with other fields. */
const but = (bytes, fields) => {
  const [number, all] = decode(bytes);
  const inner = Array.isArray(all) ? all[0] : all;
  for (const [key, value] of Object.entries(fields)) inner.set(Number(key), value);
  return encode([number, all]);
};

export default {
  async 'nonsense on the socket'(t) {
    const browser = await t.browser();
    await nonsense(t, browser, async socket => {
      await until('the socket is closed', () => socket.node.readyState === 3, WAIT);
      await alive(browser);
      await plain(browser.page);
    });
    await until('the popup says it, too', async () =>
      (await browser.page.locator('#error').textContent()).includes('version 7'), WAIT);
  },

  async 'nonsense on the socket of Firefox'(t) {
    const browser = await t.firefox();
    let node;
    await nonsense(t, browser, async () => {
      const view = await browser.view();
      assert.equal(view.node, node ??= view.node);
    });
  },

  async 'leases that lie'(t) {
    const { between, owner, browser } = await meddled(t);
    const gaveBack = async (count, reason, why = /./) => {
      const { fields } = await between.sockets.at(-1).hears(GIVE_BACK, count);
      assert.equal(fields.get(1), reason, fields.get(2));
      assert.match(fields.get(2), why);
    };
    let meddlings = 1;
    const once = change => meddle(between, LEASE, bytes => (meddlings-- > 0 ? change(bytes) : bytes));
    const task = async input => {
      const result = await owner.run(fnv(), { stdin: input });
      assert.deepEqual(result.files, { stdout: fnvOf(Buffer.from(input)) }, input);
      await alive(browser);
    };
    // A size that no module has; a spec cut short; one that asks for more than there is.
    const lies = [
      bytes => but(bytes, { 4: 2 ** 32 - 1 }),
      bytes => but(bytes, { 2: Buffer.from('no spec') }),
      bytes => but(bytes, { 2: read(bytes).fields.get(2).subarray(0, 100) }),
      bytes => {
        const spec = Buffer.from(read(bytes).fields.get(2));
        spec.fill(0xff, spec.length - 20); // fuel, memory and output
        return but(bytes, { 2: spec });
      },
    ];
    for (const [index, lie] of lies.entries()) {
      meddlings = 1;
      once(lie);
      await task(`lie ${index}`);
      await gaveBack(index + 1, UNABLE);
    }
    // Another input than the spec says.
    meddlings = 1;
    once(bytes => but(bytes, { 5: Buffer.from('another input') }));
    await task('another input');
    await gaveBack(lies.length + 1, FETCH, /another digest/);
    // A module of another digest, and one without end.
    const modules = [[Buffer.from('\0asm'), /another digest/], [undefined, /more than 67108864 bytes/]];
    for (const [index, [body, why]] of modules.entries()) {
      let blobs = 1;
      between.http = ({ url, method }, answer) => {
        if (method !== 'GET' || !url.startsWith('/v1/blobs/') || blobs-- <= 0) return false;
        const flood = () => !answer.destroyed && answer.write(Buffer.alloc(1 << 20), flood);
        answer.writeHead(200, { 'access-control-allow-origin': '*' });
        if (body) answer.end(body);
        else flood();
        return true;
      };
      // Another module: the one before is kept.
      const result = await owner.run(countdown(1 + index), {}, {}, 90_000);
      assert.equal(result.reason, 'exit');
      await gaveBack(lies.length + 2 + index, FETCH, why);
      await alive(browser);
    }
    assert.equal(between.sockets.length, 1, 'it stayed joined');
  },

  async 'more leases than slots'(t) {
    const { between, owner, browser } = await meddled(t);
    const FLOOD = 2_000;
    let flood = FLOOD;
    meddle(between, LEASE, (bytes, socket) => {
      socket.say(bytes);
      socket.say(bytes); // The same twice is the same.
      while (flood-- > 0) socket.say(but(bytes, { 0: randomBytes(16), 1: randomBytes(16) }));
    });
    const { id } = await owner.submit(countdown(1_000), [{}]);
    const [socket] = between.sockets;
    await socket.hears(GIVE_BACK, FLOOD);
    assert.equal((await browser.view()).running.length, 1);
    assert.equal((await owner.results(id))[0].reason, 'exit');
    await until('it is counted', async () => (await browser.view()).tasks === 1, WAIT);
    const results = socket.heard.filter(({ number }) => number === RESULT);
    assert.equal(results.length, 1, 'one receipt');
    assert.ok(socket.heard.filter(({ number }) => number === GIVE_BACK).every(({ fields }) => fields.get(1) === UNABLE));
    await alive(browser);
  },

  async 'acknowledgements that are worth nothing'(t) {
    const { between, owner, browser } = await meddled(t);
    const other = await t.browser();
    const acks = [];
    meddle(between, ACK, bytes => {
      acks.push(bytes);
      return bytes;
    });
    assert.equal((await owner.run(fnv(), { stdin: 'one' })).reason, 'exit');
    await until('it is counted', async () => (await browser.view()).tasks === 1, WAIT);
    const counted = (await browser.view()).points;
    const [first] = acks;
    const ours = between.sockets[0];

    // Somebody else's: of another node, and of this one's task before. The right one comes last.
    let right;
    meddle(between, ACK, (bytes, socket) => {
      if (socket !== ours) return bytes;
      const lease = read(bytes).fields.get(1);
      socket.say(first);
      socket.say(but(first, { 1: lease }));
      socket.say(but(bytes, { 3: randomBytes(64) }));
      socket.say(but(bytes, { 2: 2 ** 52 }));
      right = bytes;
      return undefined;
    });
    const { id } = await owner.submit(fnv(), [{ stdin: 'two' }]);
    await until('they came', () => right, WAIT);
    await until('it says so', async () => /not signed right/.test((await browser.view()).error), WAIT);
    await other.switchOn(between.url);
    await other.joined();
    let theirs;
    meddle(between, ACK, (bytes, socket) => {
      if (socket !== ours) theirs = bytes;
      return socket === ours ? undefined : bytes;
    });
    assert.equal((await owner.run(fnv(), { stdin: 'three' })).reason, 'exit');
    await until('another node has one', () => theirs, WAIT);
    ours.say(theirs);
    ours.say(but(theirs, { 1: read(right).fields.get(1) }));
    await alive(browser);
    const { tasks, points, today, error } = await browser.view();
    assert.deepEqual([tasks, points, today.tasks], [1, counted, 1]);
    assert.match(error, /not signed right/);
    assert.equal((await browser.ask({ kind: 'acks' })).length, 1);
    // The right one counts, once.
    ours.say(right);
    ours.say(right);
    await until('it is counted', async () => (await browser.view()).tasks === 2, WAIT);
    assert.equal((await browser.view()).error, null);
    assert.equal((await browser.ask({ kind: 'acks' })).length, 2);
    assert.equal((await owner.results(id))[0].reason, 'exit');
  },

  async 'words with markup are shown as they are'(t) {
    const { between, owner, browser } = await meddled(t);
    const publisher = new Map([[0, MARKUP.slice(0, 60)], [1, MARKUP]]);
    meddle(between, LEASE, bytes => but(bytes, { 7: publisher }));
    await owner.submit(countdown(100_000), [{}], { fuel: 1e14 });
    await until('it is shown', async () => (await browser.page.locator('#running').textContent()).includes('<img src=x'), WAIT);
    await plain(browser.page);
    const [{ lease }] = (await browser.view()).running;
    between.sockets[0].say(message(REJECTED, { 0: Buffer.from(lease, 'hex'), 1: 3, 2: MARKUP }));
    await until('it is over', async () => (await browser.page.locator('#error').textContent()).includes('<img src=x'), WAIT);
    await plain(browser.page);
  },

  async 'answers over HTTP that are none'(t) {
    const { between, browser } = await meddled(t);
    const page = await browser.options();
    page.on('dialog', dialog => dialog.accept());
    await page.locator('#account_new').click();
    await until('twelve words are shown', async () => await page.locator('#phrase li').count() === 12, WAIT);
    const { account: { key } } = await browser.view();
    const answers = {
      'HTML': '<!doctype html><title>Sign in</title>',
      'a number': '7',
      'nothing': 'null',
      'lists in lists': '['.repeat(30_000),
      'deep objects': `${'{"team":'.repeat(8_000)}1${'}'.repeat(8_000)}`,
      'a list': '[1, 2]',
      'wrong kinds': '{"team": 5, "closed": "no", "code": {}, "relay": []}',
      'a team with markup': JSON.stringify({ team: { name: MARKUP }, closed: false, code: MARKUP }),
      'a name without end': JSON.stringify({ team: { name: 'x'.repeat(60_000) }, closed: false, code: 'x'.repeat(50_000) }),
      'bytes': Buffer.from([0xff, 0xfe, 0x00]),
      '50 MB': `${' '.repeat(50_000_000)}{"team": null, "closed": false, "code": "ab12cdefgh34"}`,
    };
    let body = '';
    let status = 200;
    const headers = { 'access-control-allow-origin': '*', 'access-control-allow-headers': '*', 'access-control-allow-methods': '*' };
    between.http = ({ url, method }, answer) => {
      if (!/^\/v1\/(accounts|account-export|invitations|teams|network)/.test(url)) return false;
      if (method === 'OPTIONS') answer.writeHead(204, headers).end();
      else answer.writeHead(status, headers).end(body);
      return true;
    };
    const says = (part, what) => until(`it says ${part} of ${what}`, async () =>
      part.test(await page.locator('#account_error').textContent()), WAIT);
    const ask = [{ kind: 'person' }, { kind: 'invite' }, { kind: 'site', name: 'abc', origin: 'https://a.example' }];
    for (const [name, answer] of Object.entries(answers)) {
      body = answer;
      for (const message of ask) {
        const { failed } = await browser.ask(message);
        assert.match(failed ?? 'taken', /^relay_odd: /, `${name}, ${message.kind}`);
      }
      await alive(browser);
    }
    // An export is JSON, whatever is in it.
    for (const name of ['HTML', 'lists in lists', 'bytes', '50 MB']) {
      body = answers[name];
      await page.locator('#at_relay summary').click();
      await page.locator('#export').click();
      await says(/doesn't answer as a relay/, name);
      await page.locator('#at_relay summary').click();
    }
    await alive(browser);
    // What the relay says of an error is text, in pages too.
    status = 400;
    body = JSON.stringify({ error: { code: `${MARKUP}`, message: MARKUP.repeat(20) } });
    await page.locator('#invite').click();
    await says(/refuses: <img src=x/, 'a refusal');
    assert.ok((await page.locator('#account_error').textContent()).length < 400);
    await plain(page);
    for (const [code, answer, said] of [[500, 'oops', /error 500/], [404, answers['50 MB'], /error 404/], [403, '', /error 403/]]) {
      [status, body] = [code, answer];
      await page.locator('#invite').click();
      await says(said, code);
    }
    // None for a while: it says that it waits.
    let held;
    const before = between.http;
    between.http = (request, answer) => {
      if (request.method === 'OPTIONS') return before(request, answer);
      held = () => before(request, answer);
      return true;
    };
    await page.locator('#invite').click();
    const waits = async () => (await page.locator('#account_said').textContent()).includes('Asking the relay');
    await until('it waits', waits, WAIT);
    held();
    await until('it waits no more', async () => !await waits(), WAIT);
    await says(/error 403/, 'what was awaited');
    between.http = before;
    // Nothing came of all that.
    const { account } = await browser.view();
    assert.deepEqual([account.key, account.link, account.phrase], [key, null, true]);
    await page.locator('#at_relay summary').click();
    await page.locator('#account_delete').click();
    await says(/error 403/, 'a deletion');
    assert.equal((await browser.view()).account.key, key);
  },

  async 'an invitation with markup is none'(t) {
    const browser = await t.browser();
    const page = await browser.options();
    for (const code of [MARKUP, `https://relay.example/#/invite/${MARKUP}`, 'javascript:alert(1)', 'x'.repeat(100_000)]) {
      assert.match((await browser.ask({ kind: 'invited', code })).failed, /bad_invitation/);
    }
    await page.locator('#invited').fill(MARKUP);
    await page.keyboard.press('Tab');
    await until('it is none', async () => (await page.locator('#account_error').textContent()).includes('no invitation'), WAIT);
    assert.equal((await browser.view()).account.invitation, null);
    await plain(page);
  },
};
