import { expect, test } from 'vitest';
import { type Check, IDENTITY_CLOSED, type Patient, SOCKET_CLOSED } from '../check.ts';
import { broker, certificate, server } from './network.ts';
import { agent, images, ledger } from './software.ts';

/** Whoever is not root is told so; that is no fault of the device, and nothing is to be done to it. */
const patient = {
  host: { isRoot: false, now: () => 0 },
  config: {},
  identity: IDENTITY_CLOSED,
  ledger: { path: '/l', verdict: 'it cannot be copied: EACCES', writtenAt: undefined, setAside: [] },
  agent: SOCKET_CLOSED,
} as unknown as Patient;

test.each<[string, Check]>([
  ['agent', agent],
  ['certificate', certificate],
  ['server', server],
  ['broker', broker],
  ['ledger', ledger],
  ['images', images],
])('%s cannot be told by anybody', async (_name, check) => {
  const { signal } = new AbortController();
  const finding = await check.run({ patient, signal, progress: () => {} });
  expect(finding).toEqual({
    verdict: 'skipped',
    found: expect.stringMatching(/^Cannot tell, because .* root/),
  });
});
