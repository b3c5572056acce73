import { expect, test } from 'vitest';
import { digestOfLeaves, leafCount, leafOf, PIECE_BYTES, verityOf } from './fsverity.ts';

// Digests printed by `fsverity digest` (fsverity-utils 1.5) for files of these many bytes, byte i being i modulo 251.
const KNOWN: Record<string, string> = {
  0: '3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95',
  1: 'b803429503d95915829b29fdbc8bbad142f3abfd11b1cadf5526582e685c0551',
  4095: '5f4953aad672b0188023d6cd6fbce9d09508eb7dad165b6298ce0086bc1e72db',
  4096: '13e9b8848ae484a36acb3f3cac0ceb2f7601e96633d15c92f9bd3dd44e492157',
  4097: 'b0d074abef4d544404facfab6ba242f6a8ccbde90f1325cd286f3c8aa8d0f8aa',
  524287: '9735c4bb231d3222d1e5e23a4004d8b59dd33395d7de390530e15c2572000b47',
  524288: 'd82861203d50ae9b60948504a704f35f5118bd229aeb1a22d6dae47b1767c4c4',
  524289: '4dc6905041c9c4ee73e13b53f63f5d289c46da359b664a965ead7f8cc4d799d4',
  1048577: '89f2376c7699bfe271478a8e3356d434d4a35784edce47fac74c8e5bc7456c1d',
  1500000: '5fc9ed5de07ed642876aa962d9b705cf45f3de526bad26789b40eaaf1b589454',
};

const fileOf = (bytes: number): Buffer => Buffer.from(Array.from({ length: bytes }, (_, i) => i % 251));
async function* inPieces(data: Buffer, size: number) {
  for (let offset = 0; offset < data.length; offset += size) yield data.subarray(offset, offset + size);
}

test.each(
  Object.entries(KNOWN),
)('the digest of %s bytes equals that of the fsverity tool', async (bytes, digest) => {
  const data = fileOf(Number(bytes));
  for (const size of [1_000, 65_536, PIECE_BYTES, PIECE_BYTES * 3]) {
    const tree = await verityOf(inPieces(data, size));
    expect(tree.digest).toBe(digest);
    expect(tree.leaves.length).toBe(32 * leafCount(data.length));
  }
});

test('leaves of single pieces add up to the same digest, and a changed byte changes its leaf alone', async () => {
  const data = fileOf(PIECE_BYTES * 2 + 5_000);
  const pieces = [0, 1, 2].map((i) => data.subarray(i * PIECE_BYTES, (i + 1) * PIECE_BYTES));
  const leaves = pieces.map((piece) => leafOf(piece, data.length));
  const { digest } = await verityOf(inPieces(data, PIECE_BYTES));
  expect(digestOfLeaves(Buffer.concat(leaves), data.length)).toBe(digest);

  const changed = Buffer.from(pieces[1] ?? []);
  changed[77] = (changed[77] ?? 0) ^ 1;
  expect(leafOf(changed, data.length).equals(leaves[1] ?? Buffer.alloc(0))).toBe(false);
});

test('the same bytes with another size have another digest', async () => {
  const { leaves, digest } = await verityOf(inPieces(fileOf(4096), 4096));
  expect(digestOfLeaves(leaves, 4095)).not.toBe(digest);
});
