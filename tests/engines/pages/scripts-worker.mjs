// Instrumented modules in this browser's WebAssembly, with fuel and stack but
// without WASI: what machine.rs of engine-cases does with wasmtime.
import { readPack } from './pack.mjs';

/** Costs of `grid.grow` (docs/task-modules.md), and the pages it may grow to. */
const CALL = 1000n;
const CLEAR_PAGE = 65_536n / 8n;
const PAGES = 20;
/** Cases whose first difference is told; all are counted. */
const TOLD = 20;
const SLOT = 16;

/** Thrown by an import to end a call. */
class Ended {
  constructor(reason) {
    this.reason = reason;
  }
}
const OUT_OF_FUEL = new Ended('out_of_fuel');
const STACK = new Ended('stack');

/** What of a thrown value is an end; anything else is told as it is. */
function reason(thrown) {
  if (thrown instanceof Ended) return thrown.reason;
  if (thrown instanceof WebAssembly.RuntimeError) return 'trap';
  if (thrown instanceof WebAssembly.LinkError) return 'link';
  return String(thrown);
}

class Instance {
  #granted = 0n;

  constructor(bytes, imports, { limit, slice }) {
    this.limit = limit;
    this.slice = slice;
    const module = new WebAssembly.Module(bytes);
    const grid = {
      refill: remaining => this.#refill(remaining),
      grow: pages => this.#grow(pages >>> 0),
      stack_overflow() {
        throw STACK;
      },
    };
    // An import from a module that isn't there is a TypeError, not a LinkError.
    const names = WebAssembly.Module.imports(module).map(({ module: name }) => [name, {}]);
    const given = { ...Object.fromEntries(names), ...imports, grid };
    this.exports = new WebAssembly.Instance(module, given).exports;
  }

  /** Fuel used since it was made, or since `renew`. */
  get used() {
    return this.#granted - this.exports.grid_fuel.value;
  }

  /** All fuel anew; every call from outside has all of the stack. */
  renew() {
    this.#granted = 0n;
    this.exports.grid_fuel.value = 0n;
  }

  #refill(remaining) {
    if (this.#granted - remaining > this.limit) throw OUT_OF_FUEL;
    const need = remaining < 0n ? -remaining : 0n;
    const wanted = this.slice > need ? this.slice : need;
    const left = this.limit - this.#granted;
    const grant = wanted < left ? wanted : left;
    this.#granted += grant;
    return remaining + grant;
  }

  #grow(pages) {
    const { memory, grid_fuel: fuel } = this.exports;
    const before = memory.buffer.byteLength / 65_536;
    const fits = before + pages <= PAGES;
    const cost = CALL + (fits ? BigInt(pages) * CLEAR_PAGE : 0n);
    fuel.value -= cost;
    if (this.used > this.limit) throw OUT_OF_FUEL;
    if (!fits) return -1;
    memory.grow(pages);
    return before;
  }
}

/** The module that the core tests import from. */
function spectest() {
  const global = (value, type) => new WebAssembly.Global({ value: type }, value);
  const print = () => {};
  return {
    global_i32: global(666, 'i32'),
    global_i64: global(666n, 'i64'),
    global_f32: global(666.6, 'f32'),
    global_f64: global(666.6, 'f64'),
    table: new WebAssembly.Table({ initial: 10, maximum: 20, element: 'anyfunc' }),
    memory: new WebAssembly.Memory({ initial: 1, maximum: 2 }),
    print,
    print_i32: print,
    print_i64: print,
    print_f32: print,
    print_f64: print,
    print_i32_f32: print,
    print_f64_f64: print,
  };
}

/** One case: instances, and what others may import from them. */
class Script {
  instances = [];
  imports = { spectest: spectest() };

  constructor({ limit }, slice, bytes, report) {
    this.limit = BigInt(limit);
    this.slice = slice;
    this.bytes = bytes;
    this.report = report;
  }

  module({ at, bytes, ended, fuel }) {
    let instance;
    let how = 'exit';
    try {
      instance = new Instance(this.bytes(bytes), this.imports, this);
    } catch (thrown) {
      how = reason(thrown);
    }
    this.report(at, { ended, fuel }, { ended: how, fuel: instance ? Number(instance.used) : 0 });
    if (instance) this.instances.push(instance);
  }

  register({ name, instance }) {
    this.imports[name] = this.instances[instance].exports;
  }

  calls({ bytes, imports, calls }) {
    const targets = imports.map(([instance, name], number) => (
      [number, this.instances[instance].exports[name]]));
    const module = new WebAssembly.Module(this.bytes(bytes));
    const wrapper = new WebAssembly.Instance(module, { t: Object.fromEntries(targets) }).exports;
    const memory = new Uint8Array(wrapper.memory.buffer);
    calls.forEach(({ at, ...expect }, number) => {
      const slots = memory.subarray(0, Math.max(expect.bits.length / 2, SLOT));
      slots.fill(0);
      this.report(at, expect, this.#call(wrapper[number], slots, expect.bits.length));
    });
  }

  #call(run, slots, digits) {
    for (const instance of this.instances) instance.renew();
    let ended = 'exit';
    try {
      run();
    } catch (thrown) {
      ended = reason(thrown);
    }
    const used = this.instances.map(instance => instance.used);
    // As `Host::finish`: code may come to another end before it looks.
    if (ended === 'out_of_fuel' || used.some(fuel => fuel > this.limit)) {
      return { ended: 'out_of_fuel', fuel: Number(this.limit), bits: '' };
    }
    const fuel = Number(used.reduce((sum, one) => sum + one, 0n));
    if (ended !== 'exit') return { ended, fuel, bits: '' };
    const bits = Array.from(slots, byte => byte.toString(16).padStart(2, '0')).join('');
    return { ended, fuel, bits: bits.slice(0, digits) };
  }

  memory({ at, instance, export: name, hash: expected }) {
    const { buffer } = this.instances[instance].exports[name];
    this.report(`${at}: ${name}`, { hash: expected }, { hash: hash(buffer) });
  }
}

/** As `hash` of engine-cases. */
function hash(buffer) {
  const words = new Uint32Array(buffer);
  let a = 0x811c9dc5;
  let b = buffer.byteLength;
  for (let i = 0; i < words.length; i += 1) {
    a = Math.imul(a ^ words[i], 0x01000193);
    b = Math.imul(((b << 5) | (b >>> 27)) ^ words[i], 0x9e3779b1);
  }
  return [a, b].map(half => (half >>> 0).toString(16).padStart(8, '0')).join('');
}

async function run({ url, slice }) {
  const { cases, bytes } = await readPack(url);
  const result = { compared: 0, failed: {}, differences: [] };
  for (const { name, steps, ...about } of cases) {
    const report = (at, expect, got) => {
      result.compared += 1;
      if (Object.keys(expect).every(field => expect[field] === got[field])) return;
      result.failed[name] = (result.failed[name] ?? 0) + 1;
      if (result.failed[name] > 1 || result.differences.length >= TOLD) return;
      result.differences.push({ name, at, expect, got });
    };
    const script = new Script(about, BigInt(slice), bytes, report);
    try {
      for (const step of steps) script[step.do](step);
    } catch (thrown) {
      report('a step of the script', { went: 'well' }, { thrown: `${thrown}\n${thrown?.stack}` });
    }
  }
  return result;
}

onmessage = async ({ data }) => {
  try {
    postMessage({ value: await run(data) });
  } catch (thrown) {
    postMessage({ error: `${thrown}\n${thrown?.stack}` });
  }
};
