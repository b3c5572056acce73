import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildRelease } from '../../release/build.ts';
import { inspectRelease } from '../../release/inspect.ts';

const dir = mkdtempSync(join(tmpdir(), 'wherry-wasm-release-'));
const BOARDS = join(import.meta.dirname, '../../board-configs');
const SAMPLE = join(import.meta.dirname, '../../images/wasm-sample/sample.wat');

/** An image that stands for a runtime, with a module of its own where that of a service goes. */
beforeAll(() => {
  mkdirSync(join(dir, 'root'));
  writeFileSync(join(dir, 'root/module.wasm'), 'not this one');
  const image = `umoci init --layout runtime; umoci new --image runtime:v1; tar -cf root.tar -C root .
    umoci raw add-layer --image runtime:v1 root.tar
    umoci config --image runtime:v1 --architecture amd64 --os linux --config.entrypoint /bin/run --config.cmd --help`;
  execFileSync('sh', ['-ec', image], { cwd: dir, stdio: 'pipe' });
  execFileSync('wat2wasm', [SAMPLE, '-o', join(dir, 'sample.wasm')]);
  writeFileSync(join(dir, 'text.wasm'), readFileSync(SAMPLE));
  writeFileSync(join(dir, 'large.wasm'), '');
  truncateSync(join(dir, 'large.wasm'), 64 * 1024 ** 2 + 1);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function build(wasm: string, extra = '', out = 'out') {
  const resources = '{ memory: { max: 32MiB }, cpu: { max: 0.5 }, pids: 8 }';
  const service = `image: oci:runtime, wasm: ${wasm}, command: [tick, "2"], resources: ${resources}${extra}`;
  const text = `{ name: t, version: 1.0.0, boards: [generic-amd64], services: { app: { ${service} } } }`;
  writeFileSync(join(dir, 'release.yaml'), text);
  const cacheDir = join(dir, `${out}-cache`);
  return buildRelease({
    sourceFile: join(dir, 'release.yaml'),
    outDir: join(dir, out),
    boardsDir: BOARDS,
    cacheDir,
  });
}

test('the module is the top layer over its runtime, read-only, and the manifest tells what it is', async () => {
  const { manifest } = await build('sample.wasm');
  const app = manifest.services['app'];
  const image = app?.images['linux/amd64'];
  expect(app).toMatchObject({ kind: 'wasm', init: true });
  expect(image?.args).toEqual(['/bin/run', '/module.wasm', 'tick', '2']);
  expect(image?.layers).toHaveLength(2);
  const root = join(dir, 'seen');
  mkdirSync(root);
  const blob = join(dir, 'out/blobs', `${image?.layers.at(-1)?.verity}.erofs`);
  execFileSync('fsck.erofs', [`--extract=${root}`, '--preserve', blob], { stdio: 'pipe' });
  const files = execFileSync('find', [root, '-mindepth', '1', '-printf', '%P %m %U:%G %T@']).toString();
  expect(files).toBe('module.wasm 444 0:0 0.0000000000');
  expect(readFileSync(join(root, 'module.wasm'))).toEqual(readFileSync(join(dir, 'sample.wasm')));
  expect((await inspectRelease({ dir: join(dir, 'out') })).services[0]).toMatchObject({ kind: 'wasm' });
});

test('the same module gives the same blob anywhere', async () => {
  const layers = (built: Awaited<ReturnType<typeof build>>) =>
    built.manifest.services['app']?.images['linux/amd64']?.layers;
  expect(layers(await build('sample.wasm', '', 'again'))).toEqual(layers(await build('sample.wasm')));
});

test.each([
  ['nowhere.wasm', 'image', 'Cannot read the WebAssembly module of service "app": ENOENT'],
  ['.', 'image-refused', '"app": .: it is not a file; wanted a WebAssembly module'],
  ['root.tar', 'image-refused', 'root.tar: it begins with 2e2f0000, so it is no WebAssembly module'],
  ['text.wasm', 'image-refused', 'wanted 0061736d, which wat2wasm makes of WebAssembly text'],
  ['large.wasm', 'image-refused', 'it has 67108865 bytes; wanted at most 67108864'],
])('the module %s is refused with its reason', async (file, code, words) => {
  await expect(build(file, '', 'refused')).rejects.toMatchObject({
    code,
    message: expect.stringContaining(words),
  });
});

test('what a WebAssembly service cannot say is refused by name', async () => {
  await expect(build('sample.wasm', ', wasmArgs: [a]')).rejects.toThrow('wasmArgs');
  await expect(build('sample.wasm', ', entrypoint: []')).rejects.toThrow(
    'the image of its WebAssembly runtime has no entrypoint; set entrypoint',
  );
  await expect(build('[sample.wasm]')).rejects.toThrow('wasm');
});
