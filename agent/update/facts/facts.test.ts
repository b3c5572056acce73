import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { linkCost } from './link-cost.ts';
import { powerState } from './power-supply.ts';

const dir = mkdtempSync(join(tmpdir(), 'wherry-facts-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function supplies(name: string, all: Record<string, Record<string, string>>): string {
  const folder = join(dir, name);
  mkdirSync(folder);
  for (const [supply, files] of Object.entries(all)) {
    mkdirSync(join(folder, supply));
    for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, supply, file), `${text}\n`);
  }
  return folder;
}

test('power is external with a plug, battery without, and a mouse does not count', () => {
  const battery = { type: 'Battery', status: 'Discharging' };
  expect(powerState(supplies('none', {}))).toBe('external');
  expect(powerState(supplies('unplugged', { BAT0: battery, AC: { type: 'Mains', online: '0' } }))).toBe(
    'battery',
  );
  expect(powerState(supplies('plugged', { BAT0: battery, AC: { type: 'USB', online: '1' } }))).toBe(
    'external',
  );
  expect(powerState(supplies('mouse', { hid: { ...battery, scope: 'Device' } }))).toBe('external');
  expect(powerState(join(dir, 'missing'))).toBe('unknown');
});

const HEAD = 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT';
function routes(...lines: string[]): string {
  const path = join(dir, 'route');
  writeFileSync(path, [HEAD, ...lines, ''].join('\n'));
  return path;
}
const route = (name: string, metric: number, to = '00000000') =>
  `${name}\t${to}\t0100A8C0\t0003\t0\t0\t${metric}\t00000000\t0\t0\t0`;

test('the link is that of the default route of least cost', () => {
  expect(linkCost([], routes(route('wwan0', 700), route('eth0', 100)))).toBe('unmetered');
  expect(linkCost([], routes(route('wwan0', 50), route('eth0', 100)))).toBe('metered');
  expect(linkCost(['eth0'], routes(route('eth0', 100)))).toBe('metered');
  expect(linkCost([], routes(route('eth0', 0, '0000A8C0')))).toBe('unknown');
});
