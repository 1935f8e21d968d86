// The bytes of input and output lists (docs/protocol.md), written again here
// so that they are not only checked by the code that made them.
import { createHash } from 'node:crypto';

const HEADER = Buffer.concat([Buffer.from([10]), Buffer.from('grid-files'), Buffer.from([1, 0])]);

export const sha256 = bytes => createHash('sha256').update(bytes).digest('hex');

function u32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** `{path: bytes}` as an encoded list. */
export function encodeFiles(files) {
  const entries = Object.entries(files)
    .map(([path, bytes]) => [Buffer.from(path), Buffer.from(bytes)])
    .sort(([a], [b]) => Buffer.compare(a, b));
  const parts = entries.flatMap(([path, bytes]) => [u32(path.length), path, u32(bytes.length), bytes]);
  return Buffer.concat([HEADER, u32(entries.length), ...parts]);
}

/** An encoded list as `{path: Buffer}`. */
export function decodeFiles(bytes) {
  if (!bytes.subarray(0, HEADER.length).equals(HEADER)) throw new Error('not a list of files');
  let at = HEADER.length;
  const number = () => bytes.readUInt32LE((at += 4) - 4);
  const take = length => bytes.subarray((at += length) - length, at);
  const files = {};
  for (let count = number(); count > 0; count -= 1) {
    const path = take(number()).toString();
    files[path] = take(number());
  }
  if (at !== bytes.length) throw new Error('bytes follow the list');
  return files;
}
