import { expect, test } from 'vitest';
import { secretForms } from '../bundle/secret-forms.ts';
import { redactor } from './redact.ts';

const SECRET = 'Tr0ub4dor&3 "x"/y+z';
const redact = redactor(secretForms('secret db', Buffer.from(`${SECRET}\n`)));
const b64 = (text: string): string => Buffer.from(text).toString('base64');

test.each([
  ['as it is', `login with ${SECRET} ok`],
  ['in JSON', JSON.stringify({ p: SECRET })],
  ['in JSON in JSON', JSON.stringify(JSON.stringify({ p: SECRET }))],
  ['in an address', `http://x/?q=${encodeURIComponent(SECRET)}`],
  ['in a form', new URLSearchParams({ q: SECRET }).toString()],
  ['in base64', b64(SECRET)],
  ['in the middle of base64', b64(`u:${SECRET}`)],
  ['in the middle of base64, one further', b64(`us:${SECRET}:more`)],
  ['in base64 for addresses', Buffer.from(`x${SECRET}`).toString('base64url')],
  ['in hexadecimal', Buffer.from(SECRET).toString('hex')],
  ['in capital hexadecimal', `ab${Buffer.from(SECRET).toString('hex').toUpperCase()}`],
])('a secret of the device does not come out: %s', (_how, text) => {
  const shown = redact(text);
  expect(shown).toContain('[redacted: secret db]');
  expect(shown).not.toMatch(/Tr0ub4dor|VHIwdWI0ZG9y|54723075/i);
});

test('a short secret goes where it is a word, and spares the words that hold it', () => {
  const short = redactor(secretForms('secret pin', Buffer.from('1843')));
  expect(short('code 1843, at 218439')).toBe('code [redacted: secret pin], at 218439');
});

test('fields and lines of a secret count by themselves', () => {
  const fields = redactor(secretForms('secret app', Buffer.from('{"user":"ada","pass":"hunter2hunter2"}')));
  expect(fields('it says hunter2hunter2')).not.toContain('hunter2');
  const lines = redactor(secretForms('secret env', Buffer.from('A=swordfish-9\nB=marlin-spike')));
  expect(lines('swordfish-9 and marlin-spike')).not.toMatch(/sword|marlin/);
});

const PEM = ['-----BEGIN PRIVATE KEY-----', 'M'.repeat(64), 'abcd1234', '-----END PRIVATE KEY-----'];

test.each([
  ['Authorization: Bearer abc.def-ghi', 'abc.def'],
  ['"authorization":"Basic dXNlcjpwYXNz"', 'dXNlcjpwYXNz'],
  ['Authorization: Digest username="a", response="6629fae4"', '6629fae4'],
  ['sent Bearer 0123456789abcdef', '0123456789'],
  ['postgres://ada:s3cr3t@db:5432/x', 's3cr3t'],
  ['mqtts://ada:p@ss:w0rd@broker', 'w0rd'],
  ['https://ghtoken123@host/x', 'ghtoken123'],
  ['wherry://fleet:7441#ca=sha256:00&t=AbCdEfGhIjKlMnOp', 'AbCdEf'],
  ['GET /x?token=abcd&y=1', 'abcd'],
  ['DB_PASSWORD=hunter2', 'hunter2'],
  ['{"dbPassword": "hunter2"}', 'hunter2'],
  [JSON.stringify(JSON.stringify({ apiKey: 'hunter2' })), 'hunter2'],
  ["password: 'hunter2 with spaces'", 'spaces'],
  ['run --db-password hunter2 --fast', 'hunter2'],
  ['["--token","hunter2"]', 'hunter2'],
  ['STRIPE_KEY=abcdef', 'abcdef'],
  ['psk=wifiwifi', 'wifiwifi'],
  ['Cookie: sid=deadbeef; x=1', 'deadbeef'],
  ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig', 'eyJzdWIi'],
  ['AKIAIOSFODNN7EXAMPLE', 'IOSFODNN'],
  ['root:$6$salt$hashhashhash:1', 'hashhash'],
  [PEM.join('\n'), 'MMMM'],
  [PEM.slice(0, 2).join('\n'), 'MMMM'],
  [PEM.slice(1).join('\n'), 'MMMM'],
  [PEM.slice(1).join('\n'), 'abcd1234'],
  [JSON.stringify(PEM.join('\n')), 'MMMM'],
  [PEM.map((line) => `2026-11-21T10:00:00Z stdout F ${line}`).join('\n'), 'abcd1234'],
])('by its shape: %s', (text, secret) => {
  expect(redactor([])(text)).not.toContain(secret);
});

test.each([
  'The token has expired; ask for another',
  '{"secrets": [{"name": "token", "isHere": true}]}',
  'password: null',
  'mounted /run/secrets/db at 10:00',
  'https://fleet.example:7441/objects/abc',
  'sha256:0123456789abcdef0123456789abcdef',
])('leaves alone: %s', (text) => {
  expect(redactor([])(text)).toBe(text);
});

test('what a service writes does not choose how long it takes', () => {
  const hostile = [
    'a'.repeat(64_000),
    'token'.repeat(12_000),
    'a.'.repeat(32_000),
    `${'M'.repeat(70)}\n`.repeat(1_000),
    '-----END PRIVATE KEY-----\n'.repeat(2_000),
    '-'.repeat(64_000),
    'http://'.repeat(9_000),
    'eyJaaaaaa-'.repeat(6_000),
    'secret"'.repeat(9_000),
  ];
  // Some milliseconds each; one that grew with the square would run into the time of the test.
  expect(hostile.map((text) => typeof redactor([])(text))).toEqual(hostile.map(() => 'string'));
});
