import { expect, test } from 'vitest';
import { blockedBy, noRequests } from './remote.ts';

test('a device that is away or too old says which', () => {
  expect(noRequests({ isOnline: false, remote: null }, '0.1.0')).toMatch(/offline/);
  expect(noRequests({ isOnline: true, remote: null }, '0.1.0')).toMatch(/version 0\.1\.0, is too old/);
  expect(noRequests({ isOnline: true, remote: null }, null)).toMatch(/not said yet/);
  expect(noRequests({ isOnline: true, remote: [] }, '0.2.0')).toBeUndefined();
});

test('what is switched off on the device comes before what the role forbids', () => {
  const device = { remote: ['logs', 'reboot'] };
  expect(blockedBy('logs', device, 'operator')).toBeUndefined();
  expect(blockedBy('reboot', device, 'admin')).toBeUndefined();
  expect(blockedBy('reboot', device, 'operator')).toBe('for administrators only');
  expect(blockedBy('exec', device, 'operator')).toMatch(/remote\.exec in agent\.json/);
});
