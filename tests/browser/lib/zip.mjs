// Reads zip files by their central directory, so that they are not only checked by what made them.
import { inflateRawSync } from 'node:zlib';

const END = 0x06054b50;
const ENTRY = 0x02014b50;

/** Entries in their order: `{path, time, mode, method, bytes}`. */
export function entries(zip) {
  const end = zip.length - 22;
  if (zip.readUInt32LE(end) !== END) throw new Error('no zip file, or one with a comment');
  const list = [];
  let at = zip.readUInt32LE(end + 16);
  for (let count = zip.readUInt16LE(end + 10); count > 0; count -= 1) {
    if (zip.readUInt32LE(at) !== ENTRY) throw new Error('no entry');
    const [size, name, extra, comment] = [20, 28, 30, 32].map((offset, index) =>
      (index ? zip.readUInt16LE(at + offset) : zip.readUInt32LE(at + offset)));
    const local = zip.readUInt32LE(at + 42);
    const begins = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    const packed = zip.subarray(begins, begins + size);
    const method = zip.readUInt16LE(at + 10);
    list.push({
      path: zip.toString('utf8', at + 46, at + 46 + name),
      time: zip.readUInt32LE(at + 12),
      mode: zip.readUInt32LE(at + 38) >>> 16,
      method,
      bytes: method === 8 ? inflateRawSync(packed) : packed,
    });
    at += 46 + name + extra + comment;
  }
  return list;
}
