import { expect, test } from 'vitest';
import { heldServices } from './held-services.ts';
import { EMPTY_RECORD, type UpdateRecord } from './update/core/record.ts';

const release = (version: string, ...names: string[]) => ({
  release: { name: 'demo', version, manifest: version, generation: 1 },
  manifest: JSON.stringify({ services: Object.fromEntries(names.map((name) => [name, {}])) }),
  soakMs: 0,
});

test('services of the release in force, of the one before and of the one on its way', () => {
  const record: UpdateRecord = {
    ...EMPTY_RECORD,
    current: release('2', 'web', 'sensor'),
    previous: release('1', 'old'),
    incoming: release('3', 'new'),
  };
  expect(heldServices(() => record)()).toEqual(new Set(['web', 'sensor', 'old', 'new']));
  const fetching = { ...record, incoming: { ...release('3'), manifest: undefined } };
  expect(heldServices(() => fetching)()).toEqual(new Set(['web', 'sensor', 'old']));
});

test('nothing can be told from no release at all, nor from a manifest that cannot be read', () => {
  expect(heldServices(() => EMPTY_RECORD)()).toBeUndefined();
  const torn = { ...release('2'), manifest: '{' };
  expect(heldServices(() => ({ ...EMPTY_RECORD, current: torn }))()).toBeUndefined();
});
