// Waiting for conditions, never for time.
import { rmSync } from 'node:fs';

// tidy-allow(sleep): `until` asks again after it; tests of pace measure over a time.
export const sleep = ms => new Promise(done => setTimeout(done, ms));

/** Asks until the answer is truthy; an error names what never came. */
export async function until(what, ask, ms = 20_000, every = 25) {
  const end = Date.now() + ms;
  let last;
  for (;;) {
    try {
      const answer = await ask();
      if (answer) return answer;
      last = answer;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`after ${ms} ms still not: ${what} (${String(last).slice(0, 300)})`);
    await sleep(every);
  }
}

/** Rejects when the promise takes too long. */
export function within(what, ms, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/**
 * Removes a browser's folder. Its processes end one after the other and write
 * until then; Node's own retries only try the emptied folder again.
 */
export async function removed(folder) {
  await until(`${folder} is removed`, () => {
    rmSync(folder, { recursive: true, force: true });
    return true;
  });
}
