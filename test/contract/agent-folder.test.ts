import { execFileSync } from 'node:child_process';
import {
  createReadStream,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { chmod, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AgentFolder } from '../../agent/self-update/agent-folder.ts';
import { agentImageOf } from '../../agent/self-update/agent-image.ts';
import { verityOf } from '../../protocol/fsverity.ts';
import type { Manifest, ManifestLayer } from '../../protocol/manifest.ts';
import { withAgent } from '../support/launched-device.ts';
import { busyboxLayer, serviceRelease } from '../support/service-release.ts';

const said = (version: string) => ({ 'package.json': JSON.stringify({ version }) });
const whole = (version: string) => ({
  'bin/wherry-agent': '#!/bin/sh',
  'dist/agent/main.js': 'new',
  ...said(version),
});

describe('an agent is put on the disk', () => {
  let dir: string;
  let release: Manifest;
  const paths = new Map<string, string>();
  const folder = (): string => join(dir, 'agent');
  const open = (freeBytes = 1e9) =>
    new AgentFolder({
      folder: folder(),
      mountDir: join(dir, 'mounts'),
      running: 'shipped',
      blobs: { pathOf: (verity) => paths.get(verity) ?? '', freeBytes: async () => freeBytes },
    });

  async function layer(files: Record<string, string>): Promise<ManifestLayer> {
    const tree = await mkdtemp(join(dir, 'tree-'));
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(tree, name)), { recursive: true });
      await writeFile(join(tree, name), text);
      await chmod(join(tree, name), 0o755);
    }
    const path = `${tree}.erofs`;
    execFileSync('mkfs.erofs', ['--quiet', path, tree]);
    const { digest } = await verityOf(createReadStream(path));
    paths.set(digest, path);
    return { verity: digest, size: statSync(path).size, diffId: digest };
  }
  const image = (version: string, ...layers: ManifestLayer[]) => {
    const parts = layers.map(({ verity, size }) => ({ verity, size, path: '' }));
    const { manifest } = withAgent(
      { layers: [], manifest: release, manifestText: '', manifestSha256: '' },
      version,
      parts,
    );
    const found = agentImageOf(manifest, 'linux/amd64');
    if (!found) throw new Error('The release brings no agent');
    return found;
  };
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'wherry-agent-folder-'));
    release = serviceRelease('1', { web: { layers: [await busyboxLayer()] } }).manifest;
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  beforeEach(() => rmSync(folder(), { recursive: true, force: true }));

  test('from all its layers, the upper over the lower; once, and nothing stays mounted', async () => {
    const both = image('2.0', await layer({ ...whole('1.0'), 'lib/a': 'below' }), await layer(said('2.0')));
    expect(await open().place(both)).toEqual({ ok: true });
    const tree = join(folder(), both.id);
    expect(readFileSync(join(tree, 'lib/a'), 'utf8')).toBe('below');
    expect(statSync(join(tree, 'bin/wherry-agent')).mode & 0o777).toBe(0o755);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(dir);
    writeFileSync(join(tree, 'lib/a'), 'here already');
    expect(await open().place(both)).toEqual({ ok: true });
    expect(readFileSync(join(tree, 'lib/a'), 'utf8')).toBe('here already');
  });

  test('the leftovers of a cut do not stand in the way', async () => {
    const one = image('1.0', await layer(whole('1.0')));
    await mkdir(join(folder(), '.fresh/dist'), { recursive: true });
    await mkdir(join(dir, 'mounts/0'), { recursive: true });
    const [blob = ''] = one.layers.map(({ verity }) => paths.get(verity));
    execFileSync('mount', ['-t', 'erofs', '-o', 'ro', blob, join(dir, 'mounts/0')]);
    expect(await open().place(one)).toEqual({ ok: true });
    expect(readdirSync(folder())).toEqual([one.id]);
  });

  test.each<[string, Record<string, string>, string]>([
    ['that calls itself otherwise', whole('1.1'), 'its agent says it is 1.1; wanted 1.0'],
    ['without a launcher', { 'dist/agent/main.js': '', ...said('1.0') }, 'its agent is none'],
    ['without a program', { 'bin/wherry-agent': '', ...said('1.0') }, 'its agent is none'],
  ])('not one %s', async (_what, files, message) => {
    const bad = image('1.0', await layer(files));
    const placed = await open().place(bad);
    expect(placed).toMatchObject({
      ok: false,
      code: 'refused.agent',
      message: expect.stringContaining(message),
    });
    expect(readdirSync(folder())).toEqual([]);
  });

  test('not one whose blob has changed since it was fetched', async () => {
    const one = image('1.0', await layer({ ...whole('1.0'), odd: 'spoilt' }));
    const path = paths.get(one.layers[0]?.verity ?? '') ?? '';
    writeFileSync(path, readFileSync(path, 'latin1').replace('spoilt', 'spoil!'), 'latin1');
    expect(await open().place(one)).toMatchObject({
      ok: false,
      message: expect.stringContaining('not what was signed'),
    });
    expect(existsSync(join(folder(), one.id))).toBe(false);
  });

  test('not one that the disk has no room for', async () => {
    const one = image('1.0', await layer(whole('1.0')));
    expect(await open(1_000_000).place(one)).toMatchObject({ ok: false, code: 'refused.disk' });
  });

  test('and goes when no release needs it', async () => {
    const [old, current] = [image('1.0', await layer(whole('1.0'))), image('2.0', await layer(whole('2.0')))];
    for (const one of [old, current]) await open().place(one);
    await open().collect(new Set([current.id]));
    expect(readdirSync(folder())).toEqual([current.id]);
  });
});
