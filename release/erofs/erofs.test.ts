import { Readable } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { verityOf } from '../../protocol/fsverity.ts';
import { type LayerNode, plainFolder, whiteout } from '../core/layer-node.ts';
import { layerTree } from '../core/layer-tree.ts';
import { scanTar } from '../layer/tar-read.ts';
import { tarOf } from '../layer/tar-tree.ts';
import type { ReadContent } from './content.ts';
import { readErofs } from './read.ts';
import { writeErofs } from './write.ts';

/** All content of the trees below stands in this archive. */
const ARCHIVE = Buffer.from(Array.from({ length: 40_000 }, (_, index) => index % 251));
const readOf =
  (archive: Buffer): ReadContent =>
  async (at, bytes) =>
    archive.subarray(at, at + bytes);

async function imageOf(tree: LayerNode, archive: Buffer = ARCHIVE): Promise<Buffer> {
  const { chunks, sizeBytes } = writeErofs(tree, readOf(archive));
  const pieces: Buffer[] = [];
  for await (const piece of chunks()) pieces.push(piece);
  const image = Buffer.concat(pieces);
  expect(image.length).toBe(sizeBytes);
  return image;
}

const bytes = (maxLength: number) =>
  fc.uint8Array({ minLength: 1, maxLength }).map((each) => Buffer.from(each).toString('latin1'));
const name = bytes(40).filter((text) => !/[/\0]/.test(text) && text !== '.' && text !== '..');
const common = {
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.integer({ min: 0, max: 0xffff_fffe }),
  gid: fc.integer({ min: 0, max: 0xffff_fffe }),
  mtime: fc.record({
    seconds: fc.bigInt(-(2n ** 40n), 2n ** 40n),
    nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
  }),
  xattrs: fc
    .dictionary(
      name.map((text) => `user.${text}`),
      bytes(300),
      { maxKeys: 3 },
    )
    .map((found) => new Map(Object.entries(found))),
};
const nodeOf = (more: Partial<LayerNode>) =>
  fc.record(common).map((base): LayerNode => ({ ...plainFolder(), ...base, ...more }));
const content = fc
  .record({
    at: fc.integer({ min: 0, max: 8000 }),
    bytes: fc.integer({ min: 0, max: 30_000 }),
    hole: fc.integer({ min: 0, max: 90_000 }),
  })
  .map(({ at, bytes: length, hole }) => ({
    sizeBytes: hole + length,
    extents: length > 0 ? [{ offset: hole, bytes: length, at }] : [],
  }));
const leaf = fc.oneof(
  content.chain((each) => nodeOf({ type: 'file', content: each })),
  bytes(4095)
    .filter((text) => !text.includes('\0'))
    .chain((target) => nodeOf({ type: 'symlink', target, mode: 0o777 })),
  fc
    .record({ major: fc.integer({ min: 0, max: 0xfff }), minor: fc.integer({ min: 0, max: 0xfffff }) })
    .chain((device) => nodeOf({ type: 'block', device })),
  nodeOf({ type: 'fifo' }),
  fc.constant(0).map(() => whiteout()),
);
const { tree } = fc.letrec<{ tree: LayerNode; node: LayerNode }>((tie) => ({
  node: fc.oneof({ depthSize: 'small' }, leaf, tie('tree')),
  tree: fc
    .tuple(nodeOf({ type: 'dir' }), fc.array(fc.tuple(name, tie('node')), { maxLength: 12 }))
    .map(([folder, children]) => ({ ...folder, children: new Map(children as [string, LayerNode][]) })),
}));

test('an image read back and written again is the same to the byte', async () => {
  await fc.assert(
    fc.asyncProperty(tree, async (root) => {
      const image = await imageOf(root);
      const back = await readErofs(readOf(image));
      expect(shape(back)).toEqual(shape(root));
      expect((await imageOf(back, image)).equals(image)).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test('an image given back as a tar, and made of it again, is the same to the byte', async () => {
  await fc.assert(
    fc.asyncProperty(tree, async (root) => {
      const pieces: Buffer[] = [];
      for await (const piece of tarOf(root, readOf(ARCHIVE))) pieces.push(piece);
      const tar = Buffer.concat(pieces);
      const scanned = await scanTar(readOf(tar), tar.length);
      const again = scanned.ok ? layerTree(scanned.entries) : scanned;
      if (!again.ok) throw new Error(again.fault);
      expect((await imageOf(again.root, tar)).equals(await imageOf(root))).toBe(true);
    }),
    { numRuns: 60 },
  );
});

/** All but where content stands; children in one order. */
function shape({ children, content: { sizeBytes }, ...node }: LayerNode): object {
  const below = [...children]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([text, child]) => [text, shape(child)]);
  return { ...node, xattrs: [...node.xattrs].sort(), below, sizeBytes };
}

test('the bytes are those of the version before: a change of them is a change of every release', async () => {
  const root = plainFolder();
  const file = {
    ...plainFolder(),
    type: 'file' as const,
    mode: 0o755,
    content: { sizeBytes: 9000, extents: [{ offset: 0, bytes: 9000, at: 7 }] },
  };
  const holes = { ...file, content: { sizeBytes: 50_000, extents: [{ offset: 20_000, bytes: 5, at: 1 }] } };
  const odd = {
    ...plainFolder(),
    uid: 70_000,
    mtime: { seconds: -1n, nanoseconds: 5 },
    xattrs: new Map([['user.a', 'b']]),
  };
  odd.children = new Map<string, LayerNode>([
    ['gone', whiteout()],
    ['hard', file],
    ['holes', holes],
  ]);
  for (let index = 0; index < 300; index++)
    root.children.set(`file-${index}`, {
      ...file,
      content: { sizeBytes: index * 40, extents: [{ offset: 0, bytes: index * 40, at: index }] },
    });
  root.children
    .set('odd', odd)
    .set('file', file)
    .set('link', { ...plainFolder(), type: 'symlink', target: 'file' });
  const image = await imageOf(root);
  const { digest } = await verityOf(Readable.from([image]));
  expect(digest).toBe('be4a482e177f67d769ae254fc249a3cee63d267c229b30b7b3795077f4b5d5d4');
});

test('a spoiled image is refused or read, and breaks nothing', async () => {
  const root = plainFolder();
  root.children.set('a', { ...plainFolder(), children: new Map([['b', whiteout()]]) });
  root.children.set('f', {
    ...plainFolder(),
    type: 'file',
    xattrs: new Map([['user.x', 'y']]),
    content: { sizeBytes: 30_000, extents: [{ offset: 20_000, bytes: 100, at: 0 }] },
  });
  const image = await imageOf(root);
  const spoiled = fc.array(fc.tuple(fc.integer({ min: 1024, max: 2047 }), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 4,
  });
  await fc.assert(
    fc.asyncProperty(spoiled, fc.integer({ min: 0, max: image.length }), async (changes, length) => {
      const copy = Buffer.from(image);
      for (const [at, value] of changes) copy[at] = value;
      const outcome = await readErofs(readOf(length % 2 === 0 ? copy : copy.subarray(0, length))).then(
        () => 'read',
        (error: unknown) => (error instanceof RangeError ? 'refused' : error),
      );
      expect(['read', 'refused']).toContain(outcome);
    }),
    { numRuns: 2000 },
  );
});
