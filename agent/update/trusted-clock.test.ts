import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { pemOf } from '../../protocol/fleet-key.ts';
import { signTime, type TimeRequest } from '../../protocol/signed-time.ts';
import { TrustedClock, type TrustedClockOptions } from './trusted-clock.ts';

const fleet = generateKeyPairSync('ed25519').privateKey;

function device(state: ReturnType<TrustedClockOptions['isSynchronised']>) {
  const world = { system: 50_000, monotonic: 7, state };
  const clock = new TrustedClock({
    device: 'pi',
    system: () => world.system,
    monotonic: () => world.monotonic,
    isSynchronised: () => world.state,
    fleetKey: () => pemOf(fleet),
  });
  return { world, clock };
}

test('a clock that is kept right is believed, and nothing is asked', () => {
  const { clock } = device('synchronised');
  expect([clock.now(0), clock.now(60_000), clock.request()]).toEqual([50_000, 60_000, undefined]);
});

test('a clock that nobody keeps right counts for nothing, until the server has told the time', () => {
  const { clock, world } = device('unsynchronised');
  world.system = 9e12;
  expect(clock.now(1_000)).toBe(1_000);
  const { nonce } = clock.request() as TimeRequest;
  expect(clock.answered(signTime('pi', nonce, 2_000, fleet))).toBe(2_000);
  // It runs on in fractions; what is reported and signed knows none.
  world.monotonic += 500.75;
  world.system = 3;
  expect(clock.now(1_000)).toBe(2_500);
  world.state = 'synchronised';
  expect(clock.now(1_000)).toBe(1_000);
});

test('an answer counts once, and only the one to the last question', () => {
  const { clock } = device('unsynchronised');
  const first = clock.request() as TimeRequest;
  const second = clock.request() as TimeRequest;
  expect(clock.answered(signTime('pi', first.nonce, 2_000, fleet))).toBeUndefined();
  const answer = signTime('pi', second.nonce, 3_000, fleet);
  expect([clock.answered(answer), clock.answered(answer)]).toEqual([3_000, undefined]);
});

test('where nobody can say whether the clock is right, it is believed until the server says otherwise', () => {
  const { clock } = device('unknown');
  expect(clock.now(0)).toBe(50_000);
  clock.answered(signTime('pi', (clock.request() as TimeRequest).nonce, 70_000, fleet));
  expect(clock.now(0)).toBe(70_000);
});
