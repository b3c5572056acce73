import { readdirSync, readFileSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FakeTerminal } from '../../agent/cli/fake-terminal.ts';
import { ROUTES } from '../../agent/local-api/routes.ts';
import { type PreparedAgent, startPreparedAgent } from '../support/prepared-agent.ts';
import { busyboxLayer, serviceRelease } from '../support/service-release.ts';
import { until } from '../support/until.ts';

/** Nothing else on the machine spells this. */
const PLANTED = `planted-${process.pid}-5f3e9a`;
const READS = 'cat /run/token > /dev/null && echo it reads it; exec sleep 1000';

/** Its release has a service that wants a secret. */
let agent: PreparedAgent;
let log = '';

beforeAll(async () => {
  const layer = await busyboxLayer();
  const { manifest } = serviceRelease('1', { reader: { layers: [layer], args: ['/bin/sh', '-c', READS] } });
  const { reader } = manifest.services;
  if (reader) reader.secrets = [{ name: 'token', path: '/run/token' }];
  agent = await startPreparedAgent({
    name: 'secrets',
    manifest,
    layer,
    log: pino({ level: 'debug', base: null }, { write: (line) => void (log += line) }),
  });
});
afterAll(() => agent.close());

async function cli(stdin: string, ...argv: string[]): Promise<string> {
  const terminal = new FakeTerminal({ stdin: Readable.from([Buffer.from(stdin)]) });
  await terminal.run(...argv, '--socket', agent.socket);
  return terminal.seen;
}

const answer = (method: string, path: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const call = request({ socketPath: agent.socket, method, path, agent: false }, (response) =>
      text(response).then(resolve, reject),
    );
    call.on('error', reject).end();
  });

/** Files below a folder that hold the text, mounts included. */
function holding(folder: string, wanted: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() && !path.includes('/layers/'))
    .filter((path) => readFileSync(path).includes(wanted));
}

test('a service waits for its secret, starts when it is put, and nothing but its tmpfs shows it', async () => {
  await until(async () => (await cli('', 'why', 'reader')).includes('wait.secret'), { what: 'the wait' });
  expect(await cli('', 'secret', 'list')).toMatch(/token +missing +reader/);
  expect(await cli(PLANTED, 'secret', 'put', 'token')).toContain('token: put');
  await until(async () => (await cli('', 'logs', 'reader')).includes('it reads it'), {
    timeoutMs: 3_000,
    what: 'the service, sooner than its next look of itself',
  });
  const own = join(agent.runDir, 'roots/reader/secrets/token');
  expect(holding(agent.dir, PLANTED)).toEqual([own]);
  expect(statSync(own).mode & 0o777).toBe(0o400);
  const { pid } = JSON.parse(await answer('GET', '/v1/services')).services[0];
  expect(readFileSync(`/proc/${pid}/environ`, 'latin1')).not.toContain(PLANTED);
  const paths = ROUTES.filter(({ method }) => method === 'GET').map(({ path }) => path);
  for (const path of paths)
    for (const name of ['reader', 'token'])
      expect(await answer('GET', path.replace(':name', name))).not.toContain(PLANTED);
  expect(log).toContain('"service":"reader"');
  expect(log).not.toContain(PLANTED);
});

test('a secret that is removed stays with what runs, and the next start waits for it', async () => {
  expect(await cli('', 'secret', 'remove', 'token')).toContain('token: removed');
  expect(holding(agent.dir, PLANTED)).toEqual([join(agent.runDir, 'roots/reader/secrets/token')]);
  await cli('', 'restart', 'reader');
  await until(async () => holding(agent.dir, PLANTED).length === 0, { what: 'the end of its tmpfs' });
  await until(async () => (await cli('', 'ps')).includes('waiting'), { what: 'the wait' });
});
