import { expect, test } from 'vitest';
import type { Manifest } from '../../protocol/manifest.ts';
import { FakeClock } from '../supervisor/fake-clock.ts';
import { AgentSwitch } from './agent-switch.ts';
import { EMPTY_RECORD, type UpdateRecord } from './core/record.ts';
import { FakeAgentShelf } from './fake-agent-shelf.ts';

const LAYER = { verity: 'a'.repeat(64), size: 4096, diffId: 'b'.repeat(64) };
const IMAGE = { manifestDigest: 'c'.repeat(64), layers: [LAYER] };
const brings = { agent: { version: '2.0', images: { 'linux/amd64': IMAGE } } } as unknown as Manifest;
const release = { name: 'r', version: '1', manifest: 'd'.repeat(64), generation: 1 };
const TRIED: UpdateRecord = {
  ...EMPTY_RECORD,
  phase: 'switching',
  agent: 'shipped',
  incoming: { release, manifest: '{}', soakMs: 1, agent: '2.0-x' },
};
const DISK_FULL = new Error('ENOSPC: no space left on device');

function over(shelf: FakeAgentShelf | undefined, record: UpdateRecord = TRIED) {
  const clock = new FakeClock();
  const told = { leaves: 0, warnings: [] as string[] };
  const agents = new AgentSwitch({
    shelf,
    clock,
    log: { info: () => undefined, warn: (_fields, message) => told.warnings.push(message) },
    heldMs: 5_000,
    record: () => record,
    onLeave: () => told.leaves++,
  });
  return { agents, clock, told };
}

test('an agent that cannot give way takes no release that brings one', async () => {
  const { agents } = over(undefined);
  expect(await agents.place(brings, 'linux/amd64')).toMatchObject({
    ok: false,
    code: 'refused.agent',
    message: expect.stringContaining('bin/wherry-agent'),
  });
  expect(await agents.place({} as Manifest, 'linux/amd64')).toEqual({ ok: true });
});

test('what the disk says to a new agent refuses the release', async () => {
  const shelf = new FakeAgentShelf();
  const { agents } = over(shelf);
  shelf.fault = DISK_FULL;
  expect(await agents.place(brings, 'linux/amd64')).toMatchObject({ ok: false, message: DISK_FULL.message });
  shelf.fault = undefined;
  expect(await agents.place(brings, 'linux/amd64')).toEqual({ ok: true });
  expect(shelf.placed).toEqual([expect.stringMatching(/^2\.0-[0-9a-f]{12}$/)]);
});

test('the old agent leaves once, and the services wait for the new one', () => {
  const shelf = new FakeAgentShelf();
  const { agents, told } = over(shelf);
  expect(agents.turn(() => expect.unreachable())).toBe(false);
  expect([shelf.held, told.leaves]).toEqual([[{ id: '2.0-x', isTrial: true }], 1]);
});

test('a choice that the disk does not take is written later; until then nothing else happens', async () => {
  const shelf = new FakeAgentShelf('2.0-x');
  const { agents, clock, told } = over(shelf);
  let after = 0;
  shelf.fault = DISK_FULL;
  expect(agents.turn(() => after++)).toBe(false);
  await clock.advance(5_000);
  expect([agents.isHeld, after, told.warnings.length]).toEqual([true, 0, 2]);
  shelf.fault = undefined;
  await clock.advance(5_000);
  expect([agents.isHeld, after, told.leaves]).toEqual([false, 1, 0]);
});

test('a trial says that it goes on, and a full disk is no reason to stop looking', () => {
  const shelf = new FakeAgentShelf('2.0-x');
  const { agents, told } = over(shelf);
  agents.looked();
  shelf.fault = DISK_FULL;
  agents.looked();
  expect([shelf.beats, told.warnings.length]).toEqual([1, 1]);
  const settled = over(shelf, { ...TRIED, phase: 'committed', agent: '2.0-x', incoming: undefined });
  settled.agents.looked();
  expect(shelf.beats).toBe(1);
});
