import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqlite } from '../store/sqlite.ts';
import type { Database } from '../store/tables.ts';
import { RolloutRates } from './rates.ts';

let folder: string;
let db: Database;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wherry-rates-'));
  db = await openSqlite(join(folder, 'fleet.db'));
});
afterEach(async () => {
  await db.destroy();
  await rm(folder, { recursive: true, force: true });
});

async function rollout(id: string, egressBytesPerSecond: number | null, states: Record<string, string>) {
  const row = { id, releaseId: 'r', createdAt: 1, createdBy: 'ada', policyJson: null, egressBytesPerSecond };
  await db
    .insertInto('rollouts')
    .values({ ...row, state: 'running' })
    .execute();
  for (const [deviceId, state] of Object.entries(states))
    await db
      .insertInto('attempts')
      .values({
        id: `${id}-${deviceId}`,
        rolloutId: id,
        deviceId,
        state,
        generation: 1,
        manifestSha256: 'm',
        progressJson: null,
        reasonJson: null,
        updatedAt: 1,
      })
      .execute();
}

test('a server that starts anew holds those who are still under way, and nobody else', async () => {
  await rollout('slow', 1_000, {
    loading: 'downloading',
    away: 'queued',
    done: 'committed',
    moved: 'superseded',
  });
  await rollout('free', null, { moved: 'downloading' });
  const rates = new RolloutRates();
  await rates.load(db);
  const slow = { rollout: 'slow', bytesPerSecond: 1_000 };
  expect(['loading', 'away', 'done', 'moved'].map((device) => rates.of(device))).toEqual([
    slow,
    slow,
    undefined,
    undefined,
  ]);
});

test('the newest rollout counts, and the end of an older one changes nothing', () => {
  const rates = new RolloutRates();
  rates.began(['a', 'b'], 'one', 1_000);
  rates.began(['a'], 'two', 2_000);
  rates.ended('a', 'one');
  expect(rates.of('a')).toEqual({ rollout: 'two', bytesPerSecond: 2_000 });
  rates.began(['a'], 'three', undefined);
  rates.ended('b', 'one');
  expect([rates.of('a'), rates.of('b')]).toEqual([undefined, undefined]);
});
