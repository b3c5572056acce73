import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT } from '../../scripts/setup.mjs';
import { makeChannel } from '../support/ipc-channel.ts';
import { buildPeers, clientEnvironment } from '../support/ipc-peers.ts';
import { IpcBench, outcome } from '../support/ipc-programs.ts';

const bench = new IpcBench();
beforeAll(async () => void (await buildPeers(bench)), 120_000);
afterAll(() => bench.remove());

const MODES = { pipe: 'lossy', latest: 'latest', reliable: 'reliable' } as const;

test('the Python client passes its own tests', async () => {
  const dir = bench.channels();
  const ends = { publishers: ['source'], subscribers: ['sink'] };
  for (const [name, mode] of Object.entries(MODES))
    makeChannel(dir, { name, mode, ...ends, slotSize: 4096, depth: 8, blockTimeoutMs: 30_000 });
  const env = { ...clientEnvironment(dir, ''), PYTHONDONTWRITEBYTECODE: '1' };

  const ended = await outcome(
    ['python3', '-X', 'dev', '-W', 'error', join(ROOT, 'test/ipc-peers/client_test.py')],
    { env },
  );

  // unittest reports on stderr.
  expect(ended).toMatchObject({ code: 0, stderr: expect.stringMatching(/^Ran 13 tests.*\n\nOK\n$/m) });
});
