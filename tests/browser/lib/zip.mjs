// Zip files: read by their central directory, so that ours are not only checked by what made them;
// and made, for Firefox.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { crc32, inflateRawSync } from 'node:zlib';

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;

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

/** A folder's files in a zip file, as they are: what Firefox takes for an extension. */
export function zipped(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter(entry => entry.isFile());
  const parts = [];
  const directory = [];
  let at = 0;
  for (const { parentPath, name } of files) {
    const bytes = readFileSync(join(parentPath, name));
    const path = Buffer.from(join(parentPath, name).slice(folder.length + 1));
    // From the version that is needed to the length of what is extra.
    const about = Buffer.alloc(26);
    about.writeUInt16LE(20, 0);
    about.writeUInt32LE(0x00210000, 6);
    about.writeUInt32LE(crc32(bytes), 10);
    about.writeUInt32LE(bytes.length, 14);
    about.writeUInt32LE(bytes.length, 18);
    about.writeUInt16LE(path.length, 22);
    const local = Buffer.concat([signature(LOCAL), about, path, bytes]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(at, 10);
    directory.push(signature(ENTRY), Buffer.from([20, 0]), about, rest, path);
    parts.push(local);
    at += local.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(files.length, 4);
  end.writeUInt16LE(files.length, 6);
  end.writeUInt32LE(size, 8);
  end.writeUInt32LE(at, 12);
  return Buffer.concat([...parts, ...directory, signature(END), end]);
}

function signature(number) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(number);
  return bytes;
}
