import { sign } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FolderBlobStore } from '../../agent/update/blobs/folder-blob-store.ts';
import { DeltaFetcher } from '../../agent/update/delta/delta-fetcher.ts';
import { fetchBlob } from '../../agent/update/fetch-blob.ts';
import { FakeSource } from '../../agent/update/sources/fake-source.ts';
import { SourceError } from '../../agent/update/sources/source-error.ts';
import { TrustStore } from '../../agent/update/tuf/trust-store.ts';
import { TufUpdater } from '../../agent/update/tuf/updater.ts';
import { targetPath } from '../../protocol/manifest.ts';
import { blobObject, leavesObject } from '../../protocol/objects.ts';
import { REASONS } from '../../protocol/reasons.ts';
import { tufCanonical } from '../../protocol/tuf-canonical.ts';
import { tufKeyOf } from '../../protocol/tuf-keys.ts';
import { blobOf, deltaOf, noise, offerDelta } from '../support/deltas.ts';
import { TestRepository } from '../support/test-repository.ts';
import { corpusOf } from './corpus.ts';
import { must } from './must.ts';
import { changed, changes, spoilings, spoilt } from './mutations.ts';

const CODES = ['refused.blob-digest', 'rejected'];
const RUNS = { numRuns: 150 };
const log = { info: () => {}, warn: () => {} };
/** No property may hang; each has its own. */
const patience = () => AbortSignal.timeout(30_000);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `wherry-hostile-${process.pid}-`));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const role = (name: string) => name.replace(/-\d+$/, '') as keyof TestRepository['keys'];

describe('release metadata', () => {
  const repository = new TestRepository();
  const release = repository.publish('1.0.0', []);
  const path = targetPath(release.name, release.version);
  const names = ['timestamp', 'snapshot-2', 'targets-2', 'root-2'] as const;
  const honest = (name: string): Buffer =>
    repository.objects.get(name === 'root-2' ? 'root-1' : name) ?? Buffer.alloc(0);

  /** What a device that starts from the factory root makes of these objects. Its refusals have a code. */
  async function outcomeOf(change: Record<string, Buffer>): Promise<string> {
    const trust = await mkdtemp(join(folder, 'trust-'));
    await writeFile(join(trust, 'root.json'), repository.factoryRoot);
    const store = new TrustStore({ folder: trust, factoryRoot: join(trust, 'root.json') });
    const source = new FakeSource(new Map([...repository.objects, ...Object.entries(change)]));
    const updater = new TufUpdater({ store, log });
    try {
      const verdict = await updater.targetOf(path, Date.now(), source, patience());
      must(verdict.ok || Object.hasOwn(REASONS, verdict.code), 'it is refused without a code');
      must(!verdict.ok || verdict.sha256 === release.manifest, 'another target is trusted');
      return verdict.ok ? 'ok' : verdict.code;
    } catch (error) {
      // What the source does not have is asked for again; it is no verdict on the release.
      if (error instanceof SourceError) return error.code;
      throw error;
    } finally {
      const left = (await readdir(trust)).filter((name) => !/^(root|trust-[ab])\.json$/.test(name));
      must(left.length === 0, `it left ${left.join()}`);
      await rm(trust, { recursive: true });
    }
  }

  test('as it was signed it is taken', async () => {
    expect(await outcomeOf({})).toBe('ok');
  });

  test.for([...names])('%s with spoilt bytes is refused by a code, or means the same', async (name) => {
    await fc.assert(
      fc.asyncProperty(spoilings, async (cuts) => {
        await outcomeOf({ [name]: spoilt(honest(name), cuts) });
      }),
      RUNS,
    );
  });

  test.for([...names])('%s signed by its own key with anything in it is refused by a code', async (name) => {
    const document = JSON.parse(honest(name).toString()) as { signed: object };
    const key = repository.keys[role(name)];
    const keyid = tufKeyOf(key).keyID;
    await fc.assert(
      fc.asyncProperty(changes, async (places) => {
        const signed = changed(document.signed, places);
        let sig = '00';
        try {
          sig = sign(null, Buffer.from(tufCanonical(signed)), key).toString('hex');
        } catch {
          // It has no canonical form, so nobody can sign it.
        }
        const text = JSON.stringify({ signed, signatures: [{ keyid, sig }] });
        await outcomeOf({ [name]: Buffer.from(text) });
      }),
      RUNS,
    );
  });

  test.for(corpusOf('metadata'))('%s in place of each role is refused by a code', async ([, content]) => {
    for (const name of names) expect(await outcomeOf({ [name]: content })).toMatch(/^refused\./);
  });
});

describe('blobs and deltas', () => {
  const MIB = 1024 * 1024;
  let blobs: FolderBlobStore;
  let store: string;
  beforeEach(async () => {
    store = await mkdtemp(join(folder, 'blobs-'));
    blobs = await FolderBlobStore.open(store);
  });

  async function download(objects: Map<string, Buffer>, next: { verity: string; size: number }, old?: Held) {
    const source = new FakeSource(objects);
    const deltas = new DeltaFetcher({
      source,
      blobs,
      spurned: new Set(),
      basesOf: () => (old ? [old] : []),
      onUnusable: () => {},
      onWait: () => {},
    });
    const layer = { verity: next.verity, size: next.size, diffId: '0'.repeat(64) };
    return fetchBlob(layer, { source, blobs, deltas }, () => {}, patience());
  }
  type Held = { verity: string; size: number };

  test('however a delta is spoilt, the blob that comes is the one that was signed', async () => {
    const old = await blobOf(noise(2 * MIB + 777, 1));
    const next = await blobOf(Buffer.concat([noise(50_000, 2), old.content]));
    const delta = deltaOf(next, old);
    await writeFile(blobs.pathOf(old.verity), old.content);
    await fc.assert(
      fc.asyncProperty(spoilings, async (cuts) => {
        const objects = new Map([
          [blobObject(next.verity), next.content],
          [leavesObject(next.verity), next.leaves],
        ]);
        offerDelta(objects, { delta: spoilt(delta, cuts), next, old });
        expect(await download(objects, next, old)).toEqual({ ok: true });
        expect((await readdir(store)).sort()).toEqual([`${old.verity}.erofs`, `${next.verity}.erofs`].sort());
        await rm(blobs.pathOf(next.verity));
      }),
      { numRuns: 60 },
    );
  });

  test('a blob or leaves that were spoilt are refused by a code or asked for again, and get no name', async () => {
    const blob = await blobOf(noise(MIB + 5_000, 3));
    await fc.assert(
      fc.asyncProperty(spoilings, fc.boolean(), async (cuts, isLeaves) => {
        const objects = new Map([
          [blobObject(blob.verity), isLeaves ? blob.content : spoilt(blob.content, cuts)],
          [leavesObject(blob.verity), isLeaves ? spoilt(blob.leaves, cuts) : blob.leaves],
        ]);
        const outcome = await download(objects, blob).catch((error: unknown) => {
          if (error instanceof SourceError) return { ok: false as const, code: error.code };
          throw error;
        });
        must((await blobs.has(blob.verity, blob.size)) === outcome.ok, 'what was refused has a name');
        must(outcome.ok || CODES.includes(outcome.code), 'it is refused without a code');
        for (const name of await readdir(store)) await rm(join(store, name));
      }),
      { numRuns: 60 },
    );
  });
});
