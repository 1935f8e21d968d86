// As little of WASI as the programs need, the same for a raw and for an
// admitted module, so that only the module's own code makes a difference.
// crates/engine/examples/bench-sandbox/host.rs is the same for wasmtime.

const BADF = 8;
const NOSYS = 52;
/** Fuel that a module is granted at a time: no run uses it up. */
const GRANT = 2n ** 40n;

class Exit extends Error {
  constructor(code) {
    super(`exit code ${code}`);
    this.code = code;
  }
}

/** One run of a module: what it imports, reads and prints. */
export class Run {
  memory;
  #args;
  #stdout = '';

  constructor(name, args) {
    this.#args = [name, ...args].map(arg => new TextEncoder().encode(`${arg}\0`));
  }

  /** Calls `_start` of a fresh instance: milliseconds, and what it printed. */
  async start(module) {
    const instance = await WebAssembly.instantiate(module, this.#imports(module));
    this.memory = instance.exports.memory;
    const start = instance.exports._start;
    const begin = performance.now();
    try {
      start();
    } catch (error) {
      if (!(error instanceof Exit) || error.code !== 0) throw error;
    }
    return { ms: performance.now() - begin, stdout: this.#stdout };
  }

  #imports(module) {
    const imports = { wasi_snapshot_preview1: {}, grid: {} };
    for (const { module: from, name } of WebAssembly.Module.imports(module)) {
      imports[from][name] = this[from]?.[name] ?? (() => NOSYS);
    }
    return imports;
  }

  get #view() {
    return new DataView(this.memory.buffer);
  }

  #bytes(at, length) {
    return new Uint8Array(this.memory.buffer, at, length);
  }

  grid = {
    refill: remaining => remaining + GRANT,
    grow: pages => {
      try {
        return this.memory.grow(pages);
      } catch {
        return -1;
      }
    },
    stack_overflow: () => { throw new Error('the stack limit was passed'); },
  };

  wasi_snapshot_preview1 = {
    args_sizes_get: (count, size) => {
      this.#view.setUint32(count, this.#args.length, true);
      this.#view.setUint32(size, this.#args.reduce((sum, arg) => sum + arg.length, 0), true);
      return 0;
    },
    args_get: (list, at) => {
      this.#args.forEach((arg, index) => {
        this.#view.setUint32(list + 4 * index, at, true);
        this.#bytes(at, arg.length).set(arg);
        at += arg.length;
      });
      return 0;
    },
    environ_sizes_get: (count, size) => {
      this.#view.setUint32(count, 0, true);
      this.#view.setUint32(size, 0, true);
      return 0;
    },
    environ_get: () => 0,
    clock_time_get: (clock, precision, at) => {
      this.#view.setBigUint64(at, 0n, true);
      return 0;
    },
    random_get: (at, length) => {
      this.#bytes(at, length).fill(7);
      return 0;
    },
    fd_prestat_get: () => BADF,
    fd_close: () => 0,
    fd_fdstat_get: (fd, at) => {
      this.#bytes(at, 24).fill(0);
      return 0;
    },
    fd_write: (fd, list, count, written) => {
      let all = 0;
      for (let entry = list; entry < list + 8 * count; entry += 8) {
        const length = this.#view.getUint32(entry + 4, true);
        const bytes = this.#bytes(this.#view.getUint32(entry, true), length);
        if (fd === 1) this.#stdout += new TextDecoder().decode(bytes);
        all += length;
      }
      this.#view.setUint32(written, all, true);
      return 0;
    },
    proc_exit: code => { throw new Exit(code); },
  };
}
