import { appendFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { serviceSpec } from '../../../test/support/service-specs.ts';
import { LogPump } from './log-pump.ts';
import { readLog } from './read-log.ts';

const dir = mkdtempSync(join(tmpdir(), 'wherry-pump-'));
const spoolDir = join(dir, 'spool');
const logsDir = join(dir, 'logs');
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const say = (instance: string, text: string): void =>
  appendFileSync(join(spoolDir, `${instance}.log`), `2026-11-21T09:47:43.011424651+00:00 stdout F ${text}\n`);
async function kept(service: string): Promise<string[]> {
  const texts: string[] = [];
  const query = { tail: 100, follow: false, signal: new AbortController().signal };
  for await (const { text } of readLog(join(logsDir, service), query)) texts.push(text);
  return texts;
}

test('two instances of a service have one log, also over a restart of the agent', async () => {
  const old = serviceSpec('web');
  const next = { ...serviceSpec('web', { args: ['v2'] }), name: 'web.2' };
  const first = new LogPump({ spoolDir, logsDir });
  first.begin(old);
  say('web', 'old 1');
  first.tick();
  first.begin(next);
  say('web.2', 'new 1');
  say('web', 'old 2');
  first.tick();
  first.stop();
  const second = new LogPump({ spoolDir, logsDir });
  say('web.2', 'new 2');
  second.tick();
  expect((await kept('web')).sort()).toEqual(['new 1', 'new 2', 'old 1', 'old 2']);
  expect(existsSync(join(logsDir, 'web.2'))).toBe(false);
  expect(second.stats('web').keptBytes).toBeGreaterThan(0);
  expect(second.leftBy(new Set(['web']))).toEqual([]);
  expect(second.leftBy(new Set())).toMatchObject([{ service: 'web' }]);
  second.forget('web');
  expect([existsSync(join(logsDir, 'web')), existsSync(join(spoolDir, 'web.2.log'))]).toEqual([false, false]);
  second.stop();
});
