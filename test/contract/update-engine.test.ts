import { afterEach, beforeEach, expect, test } from 'vitest';
import { NOTHING_KNOWN } from '../../agent/update/core/hold.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { blobObject, leavesObject, manifestObject } from '../../protocol/objects.ts';
import { until } from '../support/until.ts';
import { startUpdateBench } from '../support/update-bench.ts';

const MIB = 1024 * 1024;
let bench: Awaited<ReturnType<typeof startUpdateBench>>;
let agent: Awaited<ReturnType<typeof bench.boot>>;

beforeEach(async () => {
  bench = await startUpdateBench();
  agent = await bench.boot();
});
afterEach(async () => {
  await agent.stop();
  await bench.close();
});

async function runVersion1() {
  const base = await bench.repository.layer(MIB + 5000);
  const release = bench.repository.publish('1.0.0', [base]);
  agent.engine.offer(bench.repository.assign(release));
  await agent.phase('committed');
  return { base, release };
}

async function expectRefusal(code: string) {
  await agent.phase('refused');
  expect(agent.engine.status().reason?.code).toBe(code);
  expect(agent.engine.current?.version).toBe('1.0.0');
  expect(bench.workloads.desired?.release?.version).toBe('1.0.0');
  expect(agent.ledger.outbox.pending(50).at(-1)?.code).toBe(code);
}

test('fetches, verifies, switches, soaks and commits a release, and says so', async () => {
  await runVersion1();
  expect(agent.engine.current).toMatchObject({ name: 'demo', version: '1.0.0', generation: 1 });
  expect(agent.engine.status().progress).toEqual({
    doneBytes: MIB + 5000,
    totalBytes: MIB + 5000,
    reusedBytes: 0,
  });
  const codes = agent.ledger.outbox.pending(10).map((event) => event.code);
  expect(codes).toEqual(['update.offered', 'update.committed']);
});

test('fetches only the layers that the device lacks', async () => {
  const { base } = await runVersion1();
  bench.server.served.length = 0;
  const top = await bench.repository.layer(70_000);
  const next = bench.repository.publish('2.0.0', [base, top]);
  agent.engine.offer(bench.repository.assign(next, { generation: 2 }));
  await until(() => agent.engine.current?.version === '2.0.0' && agent.engine.status().phase === 'committed');
  expect(agent.engine.status().progress).toEqual({
    doneBytes: 70_000,
    totalBytes: 70_000,
    reusedBytes: base.size,
  });
  expect(bench.server.served.filter((chunk) => chunk.includes(base.verity))).toEqual([]);
});

test('an agent that was stopped half-way asks only for what is missing', async () => {
  const layer = await bench.repository.layer(12 * MIB);
  const object = blobObject(layer.verity);
  bench.server.faults = (name, index, frame) => (name === object && index >= 100 ? [] : [frame]);
  agent.engine.offer(bench.repository.assign(bench.repository.publish('1.0.0', [layer])));
  await until(() => (agent.engine.status().progress?.doneBytes ?? 0) >= 12 * 512 * 1024);
  await agent.stop();
  const held = agent.engine.status().progress?.doneBytes ?? 0;

  bench.server.faults = (_name, _index, frame) => [frame];
  bench.server.served.length = 0;
  agent = await bench.boot();
  await agent.phase('committed');
  const chunks = new Set(bench.server.served.filter((chunk) => chunk.startsWith(object)));
  expect(chunks.size).toBe((12 * MIB - held) / 65_536);
});

test('lost, doubled, foreign and late chunks cost time, not correctness', async () => {
  const layer = await bench.repository.layer(3 * MIB + 1);
  let count = 0;
  let late: Buffer | undefined;
  bench.server.faults = (_name, _index, frame) => {
    count++;
    if (count % 17 === 3) return [];
    if (count % 11 === 5) return [frame, frame];
    if (count % 13 === 6) {
      late = frame;
      return [];
    }
    if (count % 19 === 7) return [Buffer.from('nonsense'), frame.subarray(0, frame.length - 3), frame];
    const sent = late ? [frame, late] : [frame];
    late = undefined;
    return sent;
  };
  agent.engine.offer(bench.repository.assign(bench.repository.publish('1.0.0', [layer])));
  await agent.phase('committed', 20_000);
  expect(await agent.blobs.has(layer.verity, layer.size)).toBe(true);
});

test('a tampered chunk is refused and the release before runs on', async () => {
  await runVersion1();
  const layer = await bench.repository.layer(MIB);
  const object = blobObject(layer.verity);
  bench.server.faults = (name, index, frame) => {
    if (name === object && index === 9) frame.writeUInt8(frame.readUInt8(30) ^ 1, 30);
    return [frame];
  };
  const next = bench.repository.publish('2.0.0', [layer]);
  agent.engine.offer(bench.repository.assign(next, { generation: 2 }));
  await expectRefusal('refused.blob-digest');
  expect(await agent.blobs.has(layer.verity, layer.size)).toBe(false);
  const asked = bench.server.served.filter((chunk) => chunk === `${object}#9`).length;
  expect(asked).toBe(3);
  expect(bench.server.served.filter((chunk) => chunk === `${object}#1`)).toHaveLength(1);
});

test('leaf hashes that do not give the signed digest are refused', async () => {
  await runVersion1();
  const layer = await bench.repository.layer(MIB);
  bench.repository.objects.set(leavesObject(layer.verity), Buffer.alloc(64));
  const next = bench.repository.publish('2.0.0', [layer]);
  agent.engine.offer(bench.repository.assign(next, { generation: 2 }));
  await expectRefusal('refused.blob-digest');
  expect(agent.engine.current?.generation).toBe(1);
});

test('a busy server is asked again when it said, and a missing object with back-off', async () => {
  const layer = await bench.repository.layer(MIB);
  const content = bench.repository.objects.get(blobObject(layer.verity)) ?? Buffer.alloc(0);
  bench.repository.objects.delete(blobObject(layer.verity));
  let busy = 0;
  bench.server.refuse = () =>
    busy++ % 3 === 0 ? { code: 'busy', message: 'later', retryAfterMs: 60 } : undefined;
  agent.engine.offer(bench.repository.assign(bench.repository.publish('1.0.0', [layer])));
  await until(() => agent.engine.status().reason?.code === 'retry.source');
  expect(agent.engine.status().phase).toBe('fetching');
  bench.repository.objects.set(blobObject(layer.verity), content);
  await agent.phase('committed');
});

test('a newer assignment takes the place of one that is still fetched', async () => {
  const { release } = await runVersion1();
  const stuck = bench.repository.publish('2.0.0', [await bench.repository.layer(MIB)]);
  const [layer] = stuck.document.services['web']?.images['linux/amd64']?.layers ?? [];
  bench.server.faults = (name, _index, frame) => (name === blobObject(layer?.verity ?? '') ? [] : [frame]);
  agent.engine.offer(bench.repository.assign(stuck, { generation: 2 }));
  await until(() => agent.engine.status().progress?.totalBytes === MIB);
  agent.engine.offer(bench.repository.assign(release, { generation: 3 }));
  await agent.phase('committed');
  expect(agent.engine.current).toMatchObject({ version: '1.0.0', generation: 3 });
  const codes = agent.ledger.outbox.pending(50).map((event) => event.code);
  expect(codes.slice(-2)).toEqual(['update.superseded', 'update.current']);
});

test('a release that fails its soak is rolled back and not taken again', async () => {
  const { base } = await runVersion1();
  bench.workloads.ill.add('2.0.0');
  const bad = bench.repository.publish('2.0.0', [base]);
  bench.server.isSilent = false;
  agent.engine.offer(bench.repository.assign(bad, { generation: 2 }));
  await agent.phase('rolled_back');
  expect(agent.engine.current?.version).toBe('1.0.0');
  expect(bench.workloads.desired?.release?.version).toBe('1.0.0');
  expect(agent.engine.status().reason?.message).toContain('crash-looping');
  expect(agent.rollbacks).toMatchObject([
    { why: { code: 'update.rolled-back' }, failed: { release: { version: '2.0.0' } }, unwell: ['web'] },
  ]);
  agent.engine.offer(bench.repository.assign(bad, { generation: 3 }));
  await expectRefusal('refused.bad-release');
  expect(agent.engine.current?.generation).toBe(1);
});

test('a killed agent runs its release again without the network', async () => {
  await runVersion1();
  await agent.stop();
  bench.server.isSilent = true;
  bench.workloads.applied.length = 0;
  agent = await bench.boot();
  expect(bench.workloads.desired?.release?.version).toBe('1.0.0');
});

test.each([
  ['refused.generation', { generation: 1 }, undefined],
  ['refused.board', { generation: 3, board: 'raspberry-pi-9' }, undefined],
  ['refused.assignment-device', { generation: 3, device: 'boat-2' }, undefined],
  ['refused.assignment-expired', { generation: 3, expiresAt: 1000 }, undefined],
  ['refused.board', { generation: 3 }, { boards: ['raspberry-pi-9'] }],
] as const)('refuses an assignment: %s %j %j', async (code, change, manifest) => {
  const { base } = await runVersion1();
  const next = bench.repository.publish('2.0.0', [base], manifest && { boards: [...manifest.boards] });
  agent.engine.offer(bench.repository.assign(next, change));
  await expectRefusal(code);
  expect(agent.engine.current?.generation).toBe(1);
});

test('refuses an assignment that the fleet key did not sign', async () => {
  const { release } = await runVersion1();
  const envelope = bench.repository.assign(release, { generation: 9 });
  agent.engine.offer({ ...envelope, payload: envelope.payload.replace('"generation":9', '"generation":8') });
  await expectRefusal('refused.assignment-signature');
  expect(agent.engine.generation).toBe(1);
});

test('follows the fleet key when it is replaced, keeps the new one across restarts, and believes the old one no more', async () => {
  const { base, release } = await runVersion1();
  const replayed = bench.repository.assign(release, { generation: 9 });
  bench.repository.rotateFleetKey();
  bench.repository.rotateFleetKey();
  agent.engine.offer(bench.repository.assign(bench.repository.publish('2.0.0', [base]), { generation: 2 }));
  await agent.phase('committed');
  await agent.stop();
  agent = await bench.boot();
  expect(agent.engine.fleetKey).toBe(bench.repository.fleetKeyPem);
  agent.engine.offer(replayed);
  await agent.phase('refused');
  expect(agent.engine.status().reason?.code).toBe('refused.assignment-signature');
  expect(agent.engine.current?.version).toBe('2.0.0');
});

test('waits for what the policy asks for, through a restart, and then switches without a network', async () => {
  const { base } = await runVersion1();
  let isOpen = false;
  const facts = () => ({ ...NOTHING_KNOWN, window: { isOpen, opensAt: Date.now() + 60_000 } });
  await agent.stop();
  agent = await bench.boot({ facts });
  const policy = { windows: [{ schedule: '0 2 * * *', minutes: 30 }] };
  const next = bench.repository.publish('2.0.0', [base]);
  agent.engine.offer(bench.repository.assign(next, { generation: 2, policy }));
  await agent.phase('waiting');
  expect(agent.engine.status().reason?.code).toBe('wait.window');
  expect(agent.engine.current?.version).toBe('1.0.0');
  await agent.stop();
  await bench.broker.close();
  agent = await bench.boot({ facts });
  await agent.phase('waiting');
  isOpen = true;
  await agent.phase('committed');
  expect(agent.engine.current?.version).toBe('2.0.0');
  expect([agent.engine.rollBack('ann'), agent.engine.consent('ann')]).toEqual(['accepted', 'nothing-to-do']);
  await agent.phase('rolled_back');
  expect(agent.engine.current?.version).toBe('1.0.0');
});

test('takes content from a mirror, and from the server what the mirror lacks or has wrong', async () => {
  const good = await bench.repository.layer(3 * MIB);
  const spoilt = await bench.repository.layer(2 * MIB);
  const lacking = await bench.repository.layer(MIB);
  for (const { verity, content } of [good, spoilt]) {
    const isSpoilt = verity === spoilt.verity;
    bench.mirror.objects.set(blobObject(verity), isSpoilt ? Buffer.alloc(content.length) : content);
  }
  const wrongLeaves = leavesObject(lacking.verity);
  bench.mirror.objects.set(wrongLeaves, Buffer.alloc(64));
  agent.engine.offer(bench.repository.assign(bench.repository.publish('1.0.0', [good, spoilt, lacking])));
  await agent.phase('committed');
  expect(bench.served(blobObject(good.verity))).toBe(0);
  expect(bench.served(blobObject(spoilt.verity))).toBe((2 * MIB) / LIMITS.chunkBytes);
  expect(bench.served(blobObject(lacking.verity))).toBe(MIB / LIMITS.chunkBytes);
});

test('refuses a release that does not fit the board, with a table', async () => {
  const { base, release } = await runVersion1();
  const web = release.document.services['web'];
  if (!web) throw new Error('no service');
  const greedy = { ...web, resources: { ...web.resources, memoryMaxBytes: 900 * MIB } };
  const next = bench.repository.publish('2.0.0', [base], { services: { web: greedy } });
  agent.engine.offer(bench.repository.assign(next, { generation: 2 }));
  await expectRefusal('refused.admission');
  expect(agent.engine.status().reason?.message).toContain('service web');
});

test('refuses a release that has no image for the platform', async () => {
  const { base, release } = await runVersion1();
  const web = release.document.services['web'];
  const image = web?.images['linux/amd64'];
  if (!image) throw new Error('no image');
  const foreign = { ...web, images: { 'linux/arm64': image } };
  const next = bench.repository.publish('2.0.0', [base], { services: { web: foreign } });
  agent.engine.offer(bench.repository.assign(next, { generation: 2 }));
  await expectRefusal('refused.platform');
  expect(agent.engine.status().reason?.message).toContain('service "web" has no image for linux/amd64');
});

test.each([
  ['of other content', (text: Buffer) => Buffer.from(text.toString().replace('"demo"', '"dem0"'))],
  ['longer than was signed', (text: Buffer) => Buffer.concat([text, Buffer.alloc(9, ' ')])],
])('refuses a manifest %s, after it was asked for again', async (_what, spoil) => {
  const { base } = await runVersion1();
  const next = bench.repository.publish('2.0.0', [base]);
  const object = manifestObject(next.manifest);
  bench.repository.objects.set(object, spoil(bench.repository.objects.get(object) ?? Buffer.alloc(0)));
  bench.server.served.length = 0;
  agent.engine.offer(bench.repository.assign(next, { generation: 2 }));
  await expectRefusal('refused.manifest-digest');
  expect(bench.server.served.filter((chunk) => chunk === `${object}#0`)).toHaveLength(3);
});

test('refuses a release that the disk has no room for, after freeing what no release needs', async () => {
  const { release } = await runVersion1();
  const freed = bench.repository.publish('2.0.0', [await bench.repository.layer(9000)]);
  agent.engine.offer(bench.repository.assign(freed, { generation: 2 }));
  await until(() => agent.engine.current?.version === '2.0.0' && agent.engine.status().phase === 'committed');
  agent.engine.offer(bench.repository.assign(release, { generation: 3 }));
  await until(() => agent.engine.current?.generation === 3 && agent.engine.status().phase === 'committed');
  const layer = await bench.repository.layer(MIB);
  const next = bench.repository.publish('3.0.0', [layer]);
  agent.blobs.freeBytes = async () => MIB;
  agent.engine.offer(bench.repository.assign(next, { generation: 4 }));
  await expectRefusal('refused.disk');
  expect(agent.engine.status().reason?.message).toMatch(/of disk space is wanting for 1 MiB/);
  expect(bench.server.served.filter((chunk) => chunk.startsWith(blobObject(layer.verity)))).toEqual([]);
});

test.each([
  ['refused.metadata-signature', () => bench.repository.signTargets(bench.repository.keys.root)],
  ['refused.metadata-rollback', () => bench.repository.signTimestamp(undefined, 1)],
  [
    'refused.metadata-expired',
    () => {
      bench.repository.expires = '2020-01-01T00:00:00Z';
      bench.repository.signTimestamp();
    },
  ],
  ['refused.metadata-malformed', () => bench.repository.objects.set('timestamp', Buffer.from('{'))],
] as const)('refuses a release whose metadata is wrong: %s', async (code, spoil) => {
  const { base } = await runVersion1();
  const next = bench.repository.publish('2.0.0', [base]);
  spoil();
  agent.engine.offer(bench.repository.assign(next, { generation: 2 }));
  await expectRefusal(code);
  expect(agent.engine.current?.generation).toBe(1);
});

test('refuses a release that the signed targets do not name', async () => {
  const { release } = await runVersion1();
  const forged = { ...release, version: '6.6.6' };
  agent.engine.offer(bench.repository.assign(forged, { generation: 2 }));
  await expectRefusal('refused.target-missing');
  expect(agent.engine.current?.generation).toBe(1);
});

test('a wish, and a lease that is given back, are seen at once and not at the next look', async () => {
  const { base } = await runVersion1();
  await agent.stop();
  let leases = [{ holder: 'ada', why: 'calibrating', until: Date.now() + 3_600_000 }];
  agent = await bench.boot({ facts: () => ({ ...NOTHING_KNOWN, leases }), lookMs: 3_600_000 });
  const next = bench.repository.publish('2.0.0', [base]);
  agent.engine.offer(bench.repository.assign(next, { generation: 2, policy: { consent: 'required' } }));
  await agent.phase('waiting');
  expect(agent.engine.consent('ada')).toBe('accepted');
  expect(agent.engine.status().reason?.code).toBe('wait.lease');
  leases = [];
  agent.engine.wake();
  await agent.phase('committed');
  expect(agent.engine.consent('ada')).toBe('nothing-to-do');
});
