// Has crates/engine/examples/engine-cases make packs of cases.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { within } from '../../browser/lib/wait.mjs';

/** No pack takes longer to make. */
const LIMIT = 10 * 60_000;

export class Maker {
  #count = 0;

  /** The program, and a folder that packs may be in for a while. */
  constructor(program, folder) {
    this.program = program;
    this.folder = folder;
  }

  /** A pack, and what the program says of it. */
  async make(kind, args) {
    this.#count += 1;
    const path = join(this.folder, `${kind}-${this.#count}.pack`);
    const child = spawn(this.program, ['--out', path, kind, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let [said, wrong] = ['', ''];
    child.stdout.on('data', data => { said += data; });
    child.stderr.on('data', data => { wrong += data; });
    const ended = new Promise((done, failed) => {
      child.once('error', failed);
      child.once('close', done);
    });
    const code = await within(`making ${kind}`, LIMIT, ended).finally(() => child.kill());
    if (code !== 0) throw new Error(`engine-cases ${kind} ${args.join(' ')}: ${code}\n${wrong}`);
    return { path, bytes: () => readFileSync(path), ...JSON.parse(said) };
  }
}
