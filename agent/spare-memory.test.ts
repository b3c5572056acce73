import { expect, test } from 'vitest';
import { SpareMemory } from './spare-memory.ts';
import { FakeClock } from './supervisor/fake-clock.ts';

function watched() {
  const clock = new FakeClock();
  const at: number[] = [];
  return { clock, at, spare: new SpareMemory(clock, () => at.push(clock.now())) };
}

test('memory is given back once, when an update has been over for a while', async () => {
  const { clock, at, spare } = watched();
  for (let step = 0; step < 10; step++) {
    spare.busy();
    await clock.advance(10_000);
  }
  expect(at).toEqual([]);
  await clock.advance(3_600_000);
  expect(at).toEqual([105_000]);
});

test('an agent that stops collects nothing any more', async () => {
  const { clock, at, spare } = watched();
  spare.busy();
  spare.stop();
  await clock.advance(60_000);
  expect(at).toEqual([]);
});
