// A copy of the extension with test code before or after its own scripts. Only
// packaged code sees what the extension's policy allows: code that a debugger
// evaluates is exempt from it.
import { appendFileSync, cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function overlay(test, { before = {}, after = {}, of = test.options.ext }) {
  const folder = test.folder(mkdtempSync(join(tmpdir(), 'grid-extension-')));
  cpSync(of, folder, { recursive: true });
  for (const [file, code] of Object.entries(before)) {
    const path = join(folder, file);
    writeFileSync(path, `${code}\n${readFileSync(path, 'utf8')}`);
  }
  for (const [file, code] of Object.entries(after)) appendFileSync(join(folder, file), `\n${code}\n`);
  return folder;
}

/** A function as a script that calls it. */
export const script = (f, ...values) => `(${f})(${values.map(value => JSON.stringify(value)).join(', ')});`;

/** `setIdle(state)` in the service worker takes the place of `chrome.idle`. */
export const IDLE = script(() => {
  let state = 'active';
  const listeners = [];
  chrome.idle.queryState = async () => state;
  chrome.idle.onStateChanged.addListener = listener => listeners.push(listener);
  self.setIdle = next => {
    state = next;
    for (const listener of listeners) listener(next);
  };
});

/**
 * A clock of the service worker's own: `clock.speed(times)` makes its time, its timers and its alarm
 * run so many times as fast, and `clock.leap(ms)` is a device that slept.
 */
export const CLOCK = script(() => {
  const { Date: Real, setTimeout: later } = self;
  let [speed, real, faked] = [1, Real.now(), Real.now()];
  const now = () => Math.round(faked + (Real.now() - real) * speed);
  self.Date = class extends Real {
    static now = now;

    constructor(...given) {
      super(...given.length ? given : [now()]);
    }
  };
  self.setTimeout = (call, ms, ...more) => later(call, ms / speed, ...more);
  let [period, ringing] = [0];
  const listeners = [];
  const ring = () => listeners.forEach(listener => listener({ name: 'wake' }));
  const wind = () => {
    clearInterval(ringing);
    if (period) ringing = setInterval(ring, period / speed);
  };
  chrome.alarms.onAlarm.addListener = listener => listeners.push(listener);
  chrome.alarms.create = (name, { periodInMinutes }) => {
    period = periodInMinutes * 60_000;
    wind();
  };
  chrome.alarms.clear = () => {
    period = 0;
    wind();
  };
  self.clock = {
    speed(times) {
      [faked, real, speed] = [now(), Real.now(), times];
      wind();
    },
    leap(ms) {
      faked += ms;
      ring();
    },
  };
});

/** A message `{kind: 'battery', charging}` to the offscreen document takes the
 * place of the power supply, which starts on battery. */
export const BATTERY = script(() => {
  const battery = { charging: false };
  navigator.getBattery = async () => battery;
  chrome.runtime.onMessage.addListener(({ kind, charging }) => {
    if (kind !== 'battery') return;
    battery.charging = charging;
    battery.onchargingchange();
  });
});
