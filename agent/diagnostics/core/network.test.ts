import { expect, test } from 'vitest';
import { judgeDns, judgeRoute, type NetworkFacts } from './network.ts';
import { type BrokerFacts, judgeBroker, judgeReached } from './server.ts';

const there: NetworkFacts = {
  defaultRoutes: ['eth0'],
  links: [{ name: 'eth0', state: 'up' }],
  nameServers: ['192.0.2.1'],
};
const away: NetworkFacts = {
  defaultRoutes: [],
  links: [{ name: 'eth0', state: 'down' }],
  nameServers: ['192.0.2.1'],
};
const endpoint = { host: 'fleet.example', port: 8883 };

test('route: to be offline is a fault of a device that has a server only', () => {
  expect(judgeRoute(there, true).verdict).toBe('ok');
  expect(judgeRoute(away, true)).toMatchObject({
    verdict: 'fail',
    found: 'There is no default route; its interfaces are eth0 (down)',
  });
  expect(judgeRoute(away, false).verdict).toBe('warn');
  expect(judgeRoute({ ...away, links: [] }, true).found).toContain('no network interface');
});

const failedLookup = (facts: NetworkFacts, code: string): ReturnType<typeof judgeDns> =>
  judgeDns(facts, 'fleet.example', { code });

test('dns: a name server that cannot be reached is not the name’s fault', () => {
  expect(judgeDns(there, 'fleet.example', { addresses: ['192.0.2.7'] }).found).toBe(
    'fleet.example is 192.0.2.7',
  );
  expect(judgeDns(there, '192.0.2.7', undefined).verdict).toBe('skipped');
  expect(judgeDns(there, undefined, undefined).verdict).toBe('skipped');
  expect(failedLookup(there, 'ENOTFOUND').found).toBe('Nobody at 192.0.2.1 knows the name fleet.example');
  expect(failedLookup(there, 'EAI_AGAIN').found).toContain('No name server at 192.0.2.1 answers');
  expect(failedLookup(away, 'EAI_AGAIN')).toEqual({
    verdict: 'skipped',
    found: 'Cannot tell, because there is no default route to a name server',
  });
  expect(failedLookup({ ...there, nameServers: [] }, 'ENOTFOUND').advice).toContain('DHCP');
});

test.each([
  ['ECONNREFUSED', 'fail', 'Nobody listens at fleet.example:8883'],
  ['timeout', 'fail', 'does not answer'],
  ['ENETUNREACH', 'skipped', 'Cannot tell, because no network leads to'],
  ['ENOTFOUND', 'skipped', 'cannot be looked up (see dns)'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'fail', 'not signed by the pinned CA'],
  ['CERT_NOT_YET_VALID', 'fail', 'is not valid yet by this clock'],
  ['CERT_HAS_EXPIRED', 'fail', 'has expired by this clock'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'fail', 'does not name fleet.example'],
  ['EPROTO', 'fail', 'cannot be reached: odd'],
])('server: %s', (code, verdict, found) => {
  const judged = judgeReached({ endpoint, code, message: 'odd' });
  expect(judged).toMatchObject({ verdict, found: expect.stringContaining(found) });
  expect(judged.advice === undefined).toBe(verdict === 'skipped');
});

test('broker', () => {
  const broker = (
    outcome: BrokerFacts['outcome'],
    isAgentConnected?: boolean,
  ): ReturnType<typeof judgeBroker> => judgeBroker({ endpoint, isAgentConnected, outcome });
  expect(judgeReached({ endpoint, protocol: 'TLSv1.3', tookMs: 5 }).verdict).toBe('ok');
  expect(broker({ step: 'done', tookMs: 20 }).verdict).toBe('ok');
  expect(broker({ step: 'connect', code: 5, message: '' }).found).toContain(
    'does not take this device (code 5)',
  );
  expect(broker({ step: 'connect', code: 5, message: '' }, false).verdict).toBe('fail');
  expect(broker({ step: 'connect', code: 5, message: '' }, true).verdict).toBe('skipped');
  expect(broker({ step: 'connect', code: 'ECONNREFUSED', message: 'refused' })).toMatchObject({
    verdict: 'skipped',
    found: expect.stringContaining('see server'),
  });
  expect(broker({ step: 'subscribe', message: 'not granted' }).found).toContain(
    'refuses to let it subscribe: not granted',
  );
  expect(broker({ step: 'publish', message: 'ended' }).verdict).toBe('fail');
});
