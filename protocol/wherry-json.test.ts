import { expect, test } from 'vitest';
import { formatJoinString } from './enrolment.ts';
import { parseWherryJson, WHERRY_JSON_BYTES } from './wherry-json.ts';

const server = formatJoinString({
  host: 'fleet.example',
  port: 7441,
  caSha256: 'ab'.repeat(32),
  token: 'secret-secret-secret',
});
const whole = { name: 'boat-1', server, wifi: { ssid: 'Häfen', passphrase: 'at least 8', country: 'DE' } };

const faultsOf = (document: unknown): string => {
  const checked = parseWherryJson(typeof document === 'string' ? document : JSON.stringify(document));
  return checked.ok ? '' : checked.faults.join('\n');
};

test('takes what a board needs, and a name alone', () => {
  expect(parseWherryJson(JSON.stringify(whole))).toEqual({ ok: true, value: whole });
  expect(parseWherryJson('\uFEFF{"name":"boat-1"}')).toEqual({ ok: true, value: { name: 'boat-1' } });
});

test.each([
  ['an unknown field', { ...whole, sever: server }, 'sever'],
  ['an unknown field of wifi', { ...whole, wifi: { ...whole.wifi, password: 'x' } }, 'password'],
  ['no name', { server }, 'name'],
  ['a name that is no device id', { name: 'Boat 1' }, 'lower-case letters, digits and "-"'],
  ['a server that is no join string', { name: 'boat-1', server: 'https://fleet.example' }, 'no join string'],
  ['a passphrase too short', { name: 'b', wifi: { ...whole.wifi, passphrase: '1234567' } }, 'fewer than 8'],
  [
    'a passphrase beyond ASCII',
    { name: 'b', wifi: { ...whole.wifi, passphrase: 'höchstens' } },
    'printable ASCII',
  ],
  [
    'a network name with too many bytes',
    { name: 'b', wifi: { ...whole.wifi, ssid: 'ä'.repeat(17) } },
    '32 bytes',
  ],
  ['a wifi without its country', { name: 'b', wifi: { ssid: 'x' } }, 'country'],
  ['no JSON', '{ "name": ', 'it is not JSON'],
  ['an array', [], 'object'],
  ['more than a person writes', `"${'x'.repeat(WHERRY_JSON_BYTES)}"`, 'more than'],
])('refuses %s', (_, document, fault) => {
  expect(faultsOf(document)).toContain(fault);
});

test('says nothing of a secret', () => {
  const secret = { ...whole, wifi: { ...whole.wifi, passphrase: 'öpen' } };
  expect(faultsOf(secret)).not.toContain('pen');
  expect(faultsOf('{ "name": "b", "server": "wherry://secret-secret"; }')).toBe(
    'it is not JSON at position 49',
  );
});
