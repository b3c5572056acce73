import { expect, test } from 'vitest';
import { findUser, isRootText } from './accounts.ts';

const accounts = { passwd: 'root:x:0:0::/:/bin/sh\nweb:x:33:44::/:/bin/sh\n', group: 'mail:x:8:\n' };

test.each([
  ['web', 33, 44],
  ['33', 33, 44],
  ['web:mail', 33, 8],
  ['1001', 1001, 0],
  ['7:9', 7, 9],
])('%s is %d:%d', (text, uid, gid) => {
  expect(findUser(text, accounts)).toEqual({ ok: true, uid, gid });
});

test('a name that the image does not know is a fault', () => {
  expect(findUser('nginx', accounts)).toMatchObject({ ok: false });
  expect(findUser('web:nginx', accounts)).toMatchObject({ ok: false });
});

test('nothing, root and 0 are root, others are not', () => {
  expect(['', 'root', '0', '0:5', 'root:mail'].every(isRootText)).toBe(true);
  expect(['rooty', '10', 'web'].some(isRootText)).toBe(false);
});
