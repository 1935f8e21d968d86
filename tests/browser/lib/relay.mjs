// A real relay on a free port of loopback, with data of its own.
import { spawn, execFileSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { within } from './wait.mjs';
import { Owner } from './owner.mjs';
import { proxy } from './proxy.mjs';

const BELIEVING = `[trust]
diversity = false
referee = false
faulty_ppm = 0
floor_ppm = 0
newcomer = 0
hold = 0
`;

export class Relay {
  /**
   * `counted`: behind a proxy that counts node sockets. `models`: model files to install.
   * `believing`: every node is believed, nothing is checked. `args`: more for `serve`.
   */
  static async start(binary, { counted = false, models = [], believing = false, args = [] } = {}) {
    const relay = new Relay();
    relay.binary = binary;
    relay.args = args;
    relay.data = mkdtempSync(join(tmpdir(), 'grid-relay-'));
    if (believing) writeFileSync(join(relay.data, 'grid-relay.toml'), BELIEVING);
    for (const file of models) {
      execFileSync(binary, ['model', 'add', file, '--data-dir', relay.data], { stdio: ['ignore', 'ignore', 'pipe'] });
    }
    relay.proxy = counted ? await proxy() : undefined;
    await relay.serve('127.0.0.1:0');
    return relay;
  }

  /** Node sockets that were opened so far. */
  get sockets() {
    return this.proxy.sockets;
  }

  async serve(listen) {
    const args = ['serve', '--listen', listen, '--data-dir', this.data, ...this.args];
    if (this.proxy) args.push('--origin', this.proxy.url);
    this.process = spawn(this.binary, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.log = [];
    this.ended = new Promise(done => this.process.once('exit', done));
    const listening = await within('the relay\'s start', 20_000, new Promise((ready, fail) => {
      for (const stream of [this.process.stdout, this.process.stderr]) {
        createInterface({ input: stream }).on('line', line => {
          this.log.push(line);
          const found = /"listening":"(http:[^"]+)"/.exec(line);
          if (found) ready(found[1]);
        });
      }
      this.ended.then(code => fail(new Error(`the relay ended (${code}): ${this.log.join('\n')}`)));
    }));
    this.address = new URL(listening).host;
    if (this.proxy) this.proxy.to = listening;
    this.url = this.proxy?.url ?? listening;
  }

  /** Ends it without a warning, and starts it again at the same address. */
  async crash() {
    this.process.kill('SIGKILL');
    await this.ended;
    await this.serve(this.address);
  }

  /** Ends it as an operator does, and starts another program at the same address and data. */
  async upgrade(binary) {
    this.process.kill('SIGTERM');
    await this.ended;
    this.binary = binary;
    await this.serve(this.address);
  }

  owner(name = 'tests') {
    const key = execFileSync(this.binary, ['owner', 'add', name, '--data-dir', this.data], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return new Owner(this.url, key.trim());
  }

  async network() {
    return (await fetch(`${this.url}/v1/network`)).json();
  }

  /** The relay's metrics whose line has this in it, for a message. */
  async lines(part) {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    return text.split('\n').filter(line => line.includes(part) && !line.startsWith('#')).join('\n');
  }

  /** Sum of a counter or gauge, where its labels hold `label`. */
  async metric(name, label = '') {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    return text.split('\n')
      .filter(line => new RegExp(`^\\w*${name}(_total)?[ {]`).test(line) && line.includes(label))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  async stop() {
    this.process.kill('SIGTERM');
    const forced = setTimeout(() => this.process.kill('SIGKILL'), 5_000);
    await this.ended;
    clearTimeout(forced);
    await this.proxy?.stop();
    rmSync(this.data, { recursive: true, force: true });
  }
}
