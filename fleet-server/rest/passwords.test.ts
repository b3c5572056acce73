import { expect, test } from 'vitest';
import { checkPassword, hashPassword } from './passwords.ts';

test('a password matches its own hash only, and no hash matches nothing', async () => {
  const hash = await hashPassword('correct horse');
  expect(await checkPassword('correct horse', hash)).toBe(true);
  expect(await checkPassword('correct horsf', hash)).toBe(false);
  expect(await checkPassword('', undefined)).toBe(false);
  expect(await hashPassword('correct horse')).not.toBe(hash);
});
