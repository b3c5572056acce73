import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sha256Hex } from '../../protocol/canonical.ts';
import { openImage } from '../../release/oci/reference.ts';

const OCI = 'application/vnd.oci.image';
const REF = 'org.opencontainers.image.ref.name';
const TAR = Buffer.alloc(10_240, 7);
const OTHER = Buffer.alloc(20_480, 9);

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'wherry-images-'));
  mkdirSync(join(dir, 'image/blobs/sha256'), { recursive: true });
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

interface Entry {
  mediaType: string;
  digest: string;
  size: number;
  [key: string]: unknown;
}

function put(content: Buffer | object, mediaType: string, more: object = {}): Entry {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
  const digest = sha256Hex(bytes);
  writeFileSync(join(dir, 'image/blobs/sha256', digest), bytes);
  return { mediaType, digest: `sha256:${digest}`, size: bytes.length, ...more };
}

const diffIds = (...tars: Buffer[]) => tars.map((tar) => `sha256:${sha256Hex(tar)}`);

/** An image whose layers are stored as given; `tars` are what they hold. */
function image(layers: Entry[], tars: Buffer[], more: object = {}, architecture = 'amd64'): Entry {
  const rootfs = { type: 'layers', diff_ids: diffIds(...tars) };
  const config = put({ os: 'linux', architecture, rootfs }, `${OCI}.config.v1+json`);
  return put({ schemaVersion: 2, config, layers }, `${OCI}.manifest.v1+json`, more);
}
const plain = (tar = TAR) => put(tar, `${OCI}.layer.v1.tar`);
const index = (...manifests: Entry[]) => put({ schemaVersion: 2, manifests }, `${OCI}.index.v1+json`);
const layout = (...manifests: Entry[]) =>
  writeFileSync(join(dir, 'image/index.json'), JSON.stringify({ schemaVersion: 2, manifests }));

async function readAll(reference = 'oci:image'): Promise<Buffer[]> {
  const archive = await openImage(reference, dir, dir);
  try {
    const { layers } = await archive.image('linux/amd64');
    const read: Buffer[] = [];
    for (const layer of layers) {
      const pieces: Uint8Array[] = [];
      for await (const piece of layer.open()) pieces.push(piece);
      read.push(Buffer.concat(pieces));
    }
    return read;
  } finally {
    await archive.close();
  }
}

test('layers may be gzip, zstd or plain, each as OCI and Docker name them', async () => {
  const docker = 'application/vnd.docker.image.rootfs.diff.tar';
  const layers = [
    put(gzipSync(TAR), `${OCI}.layer.v1.tar+gzip`),
    put(zstdCompressSync(TAR), `${OCI}.layer.v1.tar+zstd`),
    plain(OTHER),
    put(gzipSync(TAR), `${docker}.gzip`),
    put(zstdCompressSync(OTHER), `${docker}.zstd`),
    put(TAR, docker),
  ];
  const tars = [TAR, TAR, OTHER, TAR, OTHER, TAR];
  layout(image(layers, tars));
  expect(await readAll()).toEqual(tars);
});

test('an image is found in nested indexes, past attestations and other platforms', async () => {
  const attestation = image([plain(OTHER)], [OTHER], {
    annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
  });
  const unknown = image([plain(OTHER)], [OTHER], { platform: { os: 'unknown', architecture: 'unknown' } });
  const windows = image([plain(OTHER)], [OTHER], { platform: { os: 'windows', architecture: 'amd64' } });
  const arm = image([plain(OTHER)], [OTHER], {}, 'arm64');
  const wanted = image([plain()], [TAR]);
  layout(index(attestation, unknown, index(windows, arm, wanted)));
  expect(await readAll()).toEqual([TAR]);
});

test('indexes that nest without end are refused', async () => {
  let entry = image([plain()], [TAR]);
  for (let depth = 0; depth < 6; depth++) entry = index(entry);
  layout(entry);
  await expect(readAll()).rejects.toThrow('nest deeper');
});

test('two images of the platform need a ref, and the refs are named', async () => {
  layout(
    image([plain()], [TAR], { annotations: { [REF]: 'one' } }),
    image([plain(OTHER)], [OTHER], { annotations: { [REF]: 'two' } }),
  );
  await expect(readAll()).rejects.toThrow('ambiguous; name one of its refs: one, two');
  expect(await readAll('oci:image:two')).toEqual([OTHER]);
  await expect(readAll('oci:image:three')).rejects.toThrow('no ref "three"');
});

test.each([
  ['other content of the same size', (blob: Buffer) => blob.fill(1, 0, 1)],
  ['a byte more', (blob: Buffer) => Buffer.concat([blob, Buffer.alloc(1)])],
  ['a byte less', (blob: Buffer) => blob.subarray(0, -1)],
])('a layer with %s than its descriptor says is refused', async (_what, spoil) => {
  const layer = plain();
  layout(image([layer], [TAR]));
  const file = join(dir, 'image/blobs/sha256', layer.digest.slice(7));
  writeFileSync(file, spoil(readFileSync(file)));
  await expect(readAll()).rejects.toMatchObject({ code: 'image-digest' });
});

test('a manifest that is not its digest is refused', async () => {
  const entry = image([plain()], [TAR]);
  writeFileSync(join(dir, 'image/blobs/sha256', entry.digest.slice(7)), '{}');
  layout(entry);
  await expect(readAll()).rejects.toMatchObject({ code: 'image-digest' });
});

test.each([
  ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', 'foreign layer'],
  [`${OCI}.layer.nondistributable.v1.tar`, 'foreign layer'],
  [`${OCI}.layer.v1.tar+zstd+encrypted`, 'encrypted'],
  ['application/vnd.example.layer', 'media type "application/vnd.example.layer"'],
])('a layer of type %s is refused by name', async (mediaType, words) => {
  layout(image([plain(), put(OTHER, mediaType)], [TAR, OTHER]));
  await expect(readAll()).rejects.toThrow(new RegExp(`layer 2 .*${words}`));
});

test('an entry that is neither manifest nor index is refused by name', async () => {
  layout(put({}, 'application/vnd.example+json'));
  await expect(readAll()).rejects.toThrow('media type "application/vnd.example+json" is neither');
});

test('layers and diffIDs that differ in number are refused', async () => {
  layout(image([plain()], [TAR, OTHER]));
  await expect(readAll()).rejects.toThrow('1 layers and 2 diffIDs');
});

const tarUp = (folder: string) =>
  execFileSync('tar', ['-cf', join(dir, 'image.tar'), '-C', join(dir, folder), '.']);

test('a docker-archive that is an OCI layout in a tar is read as one', async () => {
  layout(image([put(gzipSync(TAR), `${OCI}.layer.v1.tar+gzip`)], [TAR]));
  tarUp('image');
  expect(await readAll('docker-archive:image.tar')).toEqual([TAR]);
});

function legacy(layers: string[], tags = ['demo:one']): void {
  mkdirSync(join(dir, 'old'));
  const rootfs = { type: 'layers', diff_ids: diffIds(TAR, OTHER) };
  writeFileSync(join(dir, 'old/config.json'), JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs }));
  writeFileSync(join(dir, 'old/a.tar'), TAR);
  writeFileSync(join(dir, 'old/b.tar'), gzipSync(OTHER));
  const entry = { Config: 'config.json', RepoTags: tags, Layers: layers };
  writeFileSync(join(dir, 'old/manifest.json'), JSON.stringify([entry]));
  tarUp('old');
}

test('an old docker-archive is read by its manifest.json, plain and gzip layers alike', async () => {
  legacy(['a.tar', 'b.tar']);
  expect(await readAll('docker-archive:image.tar')).toEqual([TAR, OTHER]);
  expect(await readAll('docker-archive:image.tar:one')).toEqual([TAR, OTHER]);
  await expect(readAll('docker-archive:image.tar:two')).rejects.toThrow('no tag "two"; tags: demo:one');
});

test('a path that leads out of an old docker-archive is refused', async () => {
  writeFileSync(join(dir, 'secret'), 'x');
  legacy(['a.tar', '../secret']);
  await expect(readAll('docker-archive:image.tar')).rejects.toMatchObject({ code: 'image-refused' });
});

test('an empty layer file of an old docker-archive is no crash', async () => {
  legacy(['a.tar', 'empty.tar']);
  writeFileSync(join(dir, 'old/empty.tar'), '');
  tarUp('old');
  expect(await readAll('docker-archive:image.tar')).toEqual([TAR, Buffer.alloc(0)]);
});
