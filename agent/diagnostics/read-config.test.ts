import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readConfig } from './read-config.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wherry-config-'));
});
afterEach(() => rm(folder, { recursive: true }));

function read(text: string) {
  const file = join(folder, 'agent.json');
  writeFileSync(file, text);
  return readConfig(file);
}

test('what can be made of a configuration that the agent refuses', () => {
  const { config, fault } = read(
    '{"stateDir": "/data/wherry", "runDir": "here", "instance": "two", "nmae": "x"}',
  );
  expect(config).toMatchObject({ stateDir: '/data/wherry', runDir: '/run/wherry/agent', instance: 'two' });
  expect(fault).toContain('nmae is not a known field; did you mean "name"?');
});

test('one that is no JSON, or not there: the usual folders', () => {
  expect(read('{"stateDir": "/data').config.stateDir).toBe('/var/lib/wherry');
  expect(read('{"stateDir": "/data').fault).toContain('Cannot read configuration');
  expect(readConfig(join(folder, 'none.json'))).toMatchObject({
    config: { socket: '/run/wherry/agent.sock' },
    fault: expect.stringContaining('ENOENT'),
  });
});
