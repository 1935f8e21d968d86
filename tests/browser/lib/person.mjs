// People with accounts, by plain requests that they sign (docs/protocol.md, grid-account-request).
import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { until } from './wait.mjs';

/** What PKCS #8 says before an Ed25519 key's 32 bytes. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

const number = (bytes, value) => {
  const out = Buffer.alloc(bytes);
  out.writeUIntLE(value, 0, Math.min(bytes, 6));
  return out;
};
const counted = text => Buffer.concat([number(4, Buffer.byteLength(text)), Buffer.from(text)]);
const DOMAIN = 'grid-account-request';

export class Person {
  /** `seed`: 1 to 255, whose key is 32 such bytes. */
  constructor(relay, seed) {
    this.relay = relay;
    this.seed = Buffer.alloc(32, seed).toString('hex');
    this.secret = createPrivateKey({
      key: Buffer.concat([PKCS8, Buffer.alloc(32, seed)]), format: 'der', type: 'pkcs8',
    });
    this.key = createPublicKey(this.secret).export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex');
  }

  /** Asks, signed; the answer's JSON. */
  async ask(method, path, json) {
    const { url } = this.relay;
    const { relay } = await this.relay.network();
    const [body, time] = [json ? JSON.stringify(json) : '', Date.now()];
    const bytes = Buffer.concat([
      number(1, DOMAIN.length), Buffer.from(DOMAIN), number(2, 1), Buffer.from(relay, 'hex'),
      counted(url), counted(method), counted(path), number(8, time),
      createHash('sha256').update(body).digest(),
    ]);
    const authorization = `Account ${this.key}:${time}:${sign(null, bytes, this.secret).toString('hex')}`;
    const answer = await fetch(url + path, { method, headers: { authorization }, body: body || undefined });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  /** What anyone sees of it. */
  async info() {
    return (await fetch(`${this.relay.url}/v1/accounts/${this.key}`)).json();
  }

  /** A code for friends. */
  async invite() {
    return (await this.ask('POST', '/v1/invitations', { kind: 'friend' })).code;
  }

  /**
   * Runs a simulated node of this account, who came by a code or by none, from a loopback address of
   * some network, and waits until the log says where it is; ends it with what is given back.
   */
  async lend(t, { code, from } = {}) {
    const swarm = spawn(join(dirname(t.options.relayBin), 'grid-swarm'), [
      '--relay', this.relay.url, '--nodes', '1', '--seed', String(parseInt(this.seed.slice(0, 2), 16)),
      '--seconds', '600', '--account', this.seed, ...(code ? ['--invitation', code] : []),
      ...(from ? ['--from', from] : []),
    ], { stdio: 'ignore' });
    const end = () => new Promise(done => { swarm.once('exit', done); swarm.kill(); });
    let ended;
    t.after(() => ended ?? end());
    await until('its node is its own', async () => (await this.info()).nodes.length === 1, 30_000);
    await until('it is on the roster', async () => await this.#rostered() > 0, 30_000);
    return async () => {
      await (ended = end());
      await until('it is gone', async () => await this.#rostered() === 0, 30_000);
    };
  }

  /** How many nodes are on line, once the log knows of all of them and of no others. */
  async #rostered() {
    const [online, roster] = [await this.relay.metric('nodes_online'), await this.relay.metric('roster')];
    return online === roster ? online : undefined;
  }
}
