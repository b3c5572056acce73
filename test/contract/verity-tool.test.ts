import { execFileSync } from 'node:child_process';
import { createReadStream, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { PIECE_BYTES, verityOf } from '../../protocol/fsverity.ts';

const dir = mkdtempSync(join(tmpdir(), `wherry-verity-${process.pid}-`));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** 128 leaves fill a block: one more and the tree has another level. */
const LEVEL = 128 * PIECE_BYTES;

test.each([
  0,
  1,
  4095,
  4096,
  4097,
  PIECE_BYTES - 1,
  PIECE_BYTES,
  PIECE_BYTES + 1,
  2 * PIECE_BYTES + 4096,
  LEVEL - 1,
  LEVEL,
  LEVEL + 1,
  3 * LEVEL + 5,
])('of %i bytes our digest is the one that fsverity prints', async (bytes) => {
  const file = join(dir, `${bytes}`);
  writeFileSync(
    file,
    Buffer.from(Array.from({ length: Math.min(bytes, 9000) }, (_, index) => (index * 7) % 253)),
  );
  truncateSync(file, bytes);
  const printed = execFileSync('fsverity', ['digest', '--compact', file], { encoding: 'utf8' }).trim();
  expect((await verityOf(createReadStream(file))).digest).toBe(printed);
});
