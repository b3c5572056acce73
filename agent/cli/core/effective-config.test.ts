import { expect, test } from 'vitest';
import { effectiveConfig } from './effective-config.ts';

const from = (values: ReturnType<typeof effectiveConfig>) =>
  Object.fromEntries(values.map(({ path, from: origin }) => [path, origin]));

test('each value says where it comes from', () => {
  const given = { name: 'boat', board: { name: 'x', reserve: { system: '1MiB' } }, logLevel: 'warn' };
  expect(from(effectiveConfig(given, { logLevel: 'info', reboot: 'never' }, false))).toEqual({
    name: 'file',
    'board.name': 'file',
    'board.reserve.system': 'file',
    logLevel: 'file',
    reboot: 'default',
  });
});

test('of a group of switches those that the file leaves out are the default', () => {
  const defaults = { remote: { why: true, exec: false } };
  expect(effectiveConfig({ remote: { exec: true } }, defaults, false)).toEqual([
    { path: 'remote.exec', value: true, from: 'file' },
    { path: 'remote.why', value: true, from: 'default' },
  ]);
});

test('on a board the image and wherry.json are named', () => {
  const given = { name: 'boat', board: { name: 'x' }, mirrors: ['/media/depot'] };
  expect(from(effectiveConfig(given, {}, true))).toEqual({
    name: 'wherry.json',
    'board.name': 'system image',
    'mirrors[0]': 'file',
  });
});

test.each([
  ['join', 'wherry://h:1#ca=sha256:ab&t=verysecrettoken', 'wherry://h:1#ca=sha256:ab&t=(hidden)'],
  ['mirrors', 'https://ada:hunter2@depot.lan/x', 'https://ada:(hidden)@depot.lan/x'],
  ['remoteToken', 'abc', '(hidden)'],
  ['socket', '/run/wherry/agent.sock', '/run/wherry/agent.sock'],
])('of %s no secret is shown', (key, value, shown) => {
  expect(effectiveConfig({ [key]: value }, {}, false)[0]?.value).toBe(shown);
});
