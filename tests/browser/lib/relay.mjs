// A real relay on a free port of loopback, with data of its own.
import { spawn, execFileSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { within } from './wait.mjs';
import { Owner } from './owner.mjs';

export class Relay {
  static async start(binary) {
    const relay = new Relay();
    relay.binary = binary;
    relay.data = mkdtempSync(join(tmpdir(), 'grid-relay-'));
    await relay.serve('127.0.0.1:0');
    return relay;
  }

  async serve(listen) {
    this.process = spawn(this.binary, ['serve', '--listen', listen, '--data-dir', this.data], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.log = [];
    this.ended = new Promise(done => this.process.once('exit', done));
    this.url = await within('the relay\'s start', 20_000, new Promise((ready, fail) => {
      for (const stream of [this.process.stdout, this.process.stderr]) {
        createInterface({ input: stream }).on('line', line => {
          this.log.push(line);
          const found = /listening[^]*?(http:\/\/[\w.:[\]-]+)/.exec(line);
          if (found) ready(found[1]);
        });
      }
      this.ended.then(code => fail(new Error(`the relay ended (${code}): ${this.log.join('\n')}`)));
    }));
  }

  /** Ends it without a warning, and starts it again at the same address. */
  async crash() {
    this.process.kill('SIGKILL');
    await this.ended;
    await this.serve(new URL(this.url).host);
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

  async stop() {
    this.process.kill('SIGTERM');
    const forced = setTimeout(() => this.process.kill('SIGKILL'), 5_000);
    await this.ended;
    clearTimeout(forced);
    rmSync(this.data, { recursive: true, force: true });
  }
}
