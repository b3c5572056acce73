import { expect, test } from 'vitest';
import { ociResources } from './oci-resources.ts';

const resources = { memoryMaxBytes: 8 * 1024 ** 2, cpuMax: 0.25, pidsMax: 10 };

test('a service may swap nothing unless its budget says so', () => {
  expect(ociResources(resources, { hasSwapAccounting: true })).toEqual({
    memory: { limit: 8388608, swap: 8388608 },
    cpu: { quota: 25_000, period: 100_000 },
    pids: { limit: 10 },
  });
  const swapping = ociResources({ ...resources, swapMaxBytes: 4096 }, { hasSwapAccounting: true });
  expect(swapping.memory.swap).toBe(8388608 + 4096);
});

test('swap is left out where the kernel does not account it', () => {
  expect(ociResources(resources, { hasSwapAccounting: false }).memory).toEqual({ limit: 8388608 });
});
