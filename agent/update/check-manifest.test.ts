import { describe, expect, test } from 'vitest';
import { sha256Hex } from '../../protocol/canonical.ts';
import { blobsIn } from '../../protocol/manifest.ts';
import { testManifest } from '../../test/support/test-repository.ts';
import { judgeManifest, type Place } from './check-manifest.ts';

const MIB = 1024 ** 2;
const blob = (digit: string, size: number) => ({ verity: digit.repeat(64), size });
const layer = blob('1', 4096);
const PLACE: Place = {
  board: {
    name: 'generic-amd64',
    title: 'Generic',
    platform: 'linux/amd64',
    memory: '512MiB',
    cpus: 2,
    reserve: { system: '64MiB', agent: '64MiB' },
  },
  platform: 'linux/amd64',
  slots: { bootBytes: 64 * MIB, rootBytes: 512 * MIB },
};
const parts = { boot: blob('a', MIB), root: blob('b', 200 * MIB) };

function judge(system: unknown, place: Place = PLACE) {
  const document = {
    ...testManifest('1.0.0', [layer]),
    boards: ['generic-amd64', 'pi', 'constructor'],
    system,
  };
  const content = Buffer.from(JSON.stringify(document));
  const release = { name: 'demo', version: '1.0.0', manifest: sha256Hex(content), generation: 1 };
  return judgeManifest(content, release, place);
}

describe('a release that brings a system', () => {
  const own = { version: '1.4', boards: { 'generic-amd64': parts } };

  test('is taken where a slot holds it, and its two parts are blobs of this board alone', () => {
    const judged = judge({
      version: '1.4',
      boards: { ...own.boards, pi: { boot: blob('c', MIB), root: blob('d', MIB) } },
    });
    if (!judged.ok) throw new Error(judged.message);
    const verities = (board: string | undefined) =>
      blobsIn(judged.manifest, { platform: 'linux/amd64', board }).map(({ verity }) => verity[0]);
    expect(verities('generic-amd64')).toEqual(['1', 'a', 'b']);
    expect(verities('pi')).toEqual(['1', 'c', 'd']);
    expect(verities('constructor')).toEqual(['1']);
    expect(blobsIn(judged.manifest)).toHaveLength(5);
  });

  test('is refused where there are no slots, or none so large, before anything is fetched', () => {
    const refused = { ok: false, code: 'refused.system' };
    expect(judge(own, { ...PLACE, slots: undefined })).toMatchObject({
      ...refused,
      message: expect.stringContaining('this device has no slots'),
    });
    const small = { ...PLACE, slots: { bootBytes: 64 * MIB, rootBytes: 100 * MIB } };
    expect(judge(own, small)).toMatchObject({
      ...refused,
      message: expect.stringContaining(
        'the root filesystem of its system 1.4 has 200 MiB; a slot of this device holds 100 MiB',
      ),
    });
  });

  test('is taken without it where its board is not named', () => {
    const others = { version: '1.4', boards: { pi: parts } };
    expect(judge(others, { ...PLACE, slots: undefined }).ok).toBe(true);
  });

  test.for<[string, unknown]>([
    ['a board that the release is not for', { version: '1', boards: { 'raspberry-pi-4': parts } }],
    ['no board', { version: '1', boards: {} }],
    ['a part of a sector', { version: '1', boards: { pi: { ...parts, boot: blob('a', 4097) } } }],
    ['nothing to boot', { version: '1', boards: { pi: { root: parts.root } } }],
    ['a third part', { version: '1', boards: { pi: { ...parts, data: parts.root } } }],
    ['a name that climbs', { version: '../1', boards: { pi: parts } }],
    ['an endless part', { version: '1', boards: { pi: { ...parts, root: blob('b', 2 ** 50) } } }],
    [
      'a blob that is no digest',
      { version: '1', boards: { pi: { ...parts, root: { verity: '/dev/vda', size: 4096 } } } },
    ],
    ['a digest for two', { version: '1', digest: 'a'.repeat(64), boards: { pi: parts } }],
  ])('is refused with %s', ([, system]) => {
    expect(judge(system)).toMatchObject({ ok: false, code: 'refused.manifest-malformed' });
  });
});
