// Checks a blob as the agent does when it is whole, in a process of its own: `node hash-file.ts <path>`.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { digestOfLeaves, leafOf, PIECE_BYTES } from '../protocol/fsverity.ts';

export interface HashedFile {
  seconds: number;
}

const file = openSync(process.argv[2] ?? '', 'r');
const { size } = fstatSync(file);
const begin = performance.now();
const buffer = Buffer.allocUnsafe(PIECE_BYTES);
const leaves: Buffer[] = [];
for (let at = 0; at < size; at += PIECE_BYTES) {
  const bytes = readSync(file, buffer, 0, PIECE_BYTES, at);
  leaves.push(leafOf(buffer.subarray(0, bytes), size));
}
digestOfLeaves(Buffer.concat(leaves), size);
const hashed: HashedFile = { seconds: (performance.now() - begin) / 1000 };
closeSync(file);
console.log(JSON.stringify(hashed));
