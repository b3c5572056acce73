import { expect, test } from 'vitest';
import { type DeviceFacts, type DeviceUse, flashRefusal } from './refusal.ts';

const MIB = 1024 ** 2;
const card: DeviceFacts = { name: 'sdb', kind: 'disk', bytes: 2000 * MIB, isReadOnly: false, uses: [] };
const mounted = (where: string): DeviceUse => ({ name: 'sdb2', how: 'mounted', where });

test('takes a card that nothing uses and the image fits on', () => {
  expect(flashRefusal(card, 2000 * MIB)).toBeUndefined();
});

test.each<[string, Partial<DeviceFacts>, string]>([
  ['a partition', { kind: 'partition' }, 'wanted the whole disk'],
  ['a disk with the root of the system', { uses: [mounted('/')] }, 'sdb2 is mounted at /'],
  [
    'one with swap',
    { uses: [{ name: 'sdb3', how: 'swap', where: '' }] },
    'a disk of this system (sdb3 is swap)',
  ],
  [
    'a mounted one',
    { uses: [mounted('/media/x'), mounted('/media/y')] },
    'mounted at /media/x and 1 more; unmount',
  ],
  ['one of an array', { uses: [{ name: 'sdb1', how: 'held', where: 'md0' }] }, 'sdb1 is part of md0'],
  ['a locked card', { isReadOnly: true }, 'read-only'],
  ['an empty reader', { bytes: 0 }, 'no medium'],
  ['one sector too few', { bytes: 2000 * MIB - 512 }, 'take a larger card'],
])('refuses %s', (_, facts, said) => {
  expect(flashRefusal({ ...card, ...facts }, 2000 * MIB)).toContain(said);
});

test('names the system before a mere mount', () => {
  expect(flashRefusal({ ...card, uses: [mounted('/media/x'), mounted('/boot')] }, MIB)).toContain('/boot');
});
