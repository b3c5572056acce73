import { beforeEach, expect, test } from 'vitest';
import { type Answer, type Ask, checkAnswer } from '../../protocol/remote.ts';
import { REMOTE_ACTIONS, REMOTE_LIMITS, type RemoteAction } from '../../protocol/remote-actions.ts';
import { until } from '../../test/support/until.ts';
import { FakeAgentView } from '../local-api/fake-agent-view.ts';
import { FakeExecSession } from '../local-api/fake-exec.ts';
import { fakeService, fakeStatus } from '../local-api/fake-status.ts';
import { FakeClock } from '../supervisor/fake-clock.ts';
import { RemoteDesk } from './remote-desk.ts';

const SESSION = 'cd'.repeat(16);
const NOW = 1_000_000;
const SERVICE = 'web';

let clock: FakeClock;
let view: FakeAgentView;
let program: FakeExecSession;
/** Of a support bundle. */
let pieces: Uint8Array[];
let sent: Answer[];
let events: { code: string; message: string; service?: string | undefined }[];
let reboots: string[];
let held: number;
let lose: (() => void)[];
let ids: number;

beforeEach(() => {
  clock = new FakeClock(NOW);
  view = new FakeAgentView(fakeStatus({ services: [fakeService(SERVICE)] }));
  program = new FakeExecSession();
  view.exec.next = [program];
  pieces = [];
  view.bundle.make = async function* () {
    yield* pieces;
  };
  [sent, events, reboots, lose] = [[], [], [], []];
  held = ids = 0;
});

function open(actions: readonly RemoteAction[] = REMOTE_ACTIONS): RemoteDesk {
  const desk = new RemoteDesk({
    allowed: new Set(actions),
    view: () => view,
    reboot: async (reason) => void reboots.push(reason),
    channel: {
      acquireAnswers: async (onLost) => {
        held++;
        lose.push(onLost);
        return {
          answer: (body) => {
            const checked = checkAnswer(JSON.parse(body));
            if (!checked.ok) throw new Error(checked.faults.join('; '));
            expect(Buffer.byteLength(body)).toBeLessThanOrEqual(REMOTE_LIMITS.answerBytes);
            sent.push(checked.value);
          },
          release: () => void held--,
        };
      },
    },
    outbox: {
      add: ({ code, message, service }) => void events.push({ code, message, ...(service && { service }) }),
    },
    clock,
    log: { info: () => {}, warn: () => {} },
  });
  desk.opened(SESSION);
  return desk;
}

const wish = (action: RemoteAction, more: Partial<Ask> = {}): Ask => ({
  v: 1,
  id: String(++ids).padStart(32, '0'),
  session: SESSION,
  expiresAt: clock.now() + 10_000,
  by: 'ada',
  action,
  lifeMs: 60_000,
  ...more,
});
const over = () => until(() => sent.some(({ end }) => end !== undefined), { what: 'an end' });
const texts = () => sent.flatMap(({ lines = [] }) => lines.map(({ text }) => text));
const bytes = () => sent.reduce((sum, answer) => sum + JSON.stringify(answer).length, 0);
const settle = async () => {
  for (let turn = 0; turn < 200; turn++) {
    await clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve));
  }
};
const ends = () => sent.flatMap(({ end }) => (end ? [end] : []));

test('why is answered with its reasons, leaves an event that names the user, and gives the session back', async () => {
  view.reasons[SERVICE] = [{ code: 'start.desired', message: 'wanted', at: 1 }];
  open().asked(wish('why', { service: SERVICE }));
  await over();
  expect(sent[0]).toMatchObject({ sequence: 0, why: { service: SERVICE, reasons: [{ message: 'wanted' }] } });
  expect(sent[1]).toMatchObject({ sequence: 1, end: { code: 'done' } });
  expect(events).toEqual([
    { code: 'remote.asked', message: `ada (server) asks why ${SERVICE} is as it is`, service: SERVICE },
  ]);
  await until(() => held === 0);
});

test('a restart is the supervisor’s, with who asked; a service that is not there is said so', async () => {
  const desk = open();
  desk.asked(wish('restart', { service: SERVICE }));
  await over();
  expect(view.holds.restarts).toEqual([{ service: SERVICE, who: 'ada (server)' }]);
  for (const action of ['restart', 'why', 'logs', 'exec'] as const)
    desk.asked(wish(action, { service: 'nobody' }));
  await until(() => ends().length === 5);
  expect(
    ends()
      .slice(1)
      .map(({ code }) => code),
  ).toEqual(Array.from({ length: 4 }, () => 'unknown-service'));
});

test('what somebody at the device has stopped stays stopped', async () => {
  const desk = open();
  view.holds.stop(SERVICE, { who: 'tove' });
  desk.asked(wish('restart', { service: SERVICE }));
  await over();
  expect(ends()).toMatchObject([{ code: 'refused', message: expect.stringContaining('tove') }]);
});

test('a reboot is answered first; asked again with the same message it is not done again', async () => {
  const desk = open();
  const reboot = wish('reboot');
  desk.asked(reboot);
  desk.asked(reboot);
  await over();
  expect(reboots).toEqual([]);
  await clock.advance(1_000);
  expect(reboots).toEqual(['ada (server) asked for it']);
  desk.opened('ee'.repeat(16));
  desk.asked({ ...reboot, id: 'f'.repeat(32) });
  await clock.advance(5_000);
  expect([reboots.length, ends().length]).toEqual([1, 1]);
});

test('what is switched off is refused and told, and nothing is done', async () => {
  open(['why']).asked(wish('exec', { service: SERVICE, exec: { argv: ['sh'] } }));
  await over();
  expect(ends()).toMatchObject([{ code: 'off' }]);
  expect(view.exec.opened).toEqual([]);
  expect(events).toMatchObject([{ code: 'remote.refused', message: expect.stringMatching(/^ada.*"exec"/) }]);
});

test('what cannot be read is dropped', async () => {
  const desk = open();
  for (const bad of [undefined, {}, { ...wish('why'), extra: 1 }, { ...wish('why'), by: 'a\nb' }])
    desk.asked(bad);
  desk.more({ v: 1, id: 'x' });
  expect([sent, events]).toEqual([[], []]);
});

test('a log is followed until nobody looks on', async () => {
  const desk = open();
  const ask = wish('logs', { service: SERVICE, logs: { tail: 10, follow: true } });
  view.write(SERVICE, { at: 1, stream: 'stdout', text: 'one' });
  desk.asked(ask);
  await until(async () => {
    await clock.advance(100);
    return texts().includes('one');
  });
  view.write(SERVICE, { at: 2, stream: 'stderr', text: 'two' });
  await until(async () => {
    await clock.advance(100);
    return texts().includes('two');
  });
  desk.more({ v: 1, id: ask.id, end: true });
  await until(() => view.followers.size === 0 && held === 0);
  expect(texts()).toEqual(['one', 'two']);
});

test('a chatty log goes as far as its credit and waits in its file for more', async () => {
  const desk = open();
  const ask = wish('logs', { service: SERVICE, logs: { tail: 10_000, follow: false } });
  view.write(
    SERVICE,
    ...Array.from({ length: 10_000 }, (_, at) => ({ at, stream: 'stdout' as const, text: 'x'.repeat(200) })),
  );
  desk.asked(ask);
  await settle();
  expect(bytes()).toBeGreaterThanOrEqual(REMOTE_LIMITS.creditBytes);
  expect(bytes()).toBeLessThanOrEqual(REMOTE_LIMITS.creditBytes + REMOTE_LIMITS.answerBytes);
  expect(view.linesTaken).toBeLessThan(4_000);
  const before = bytes();
  desk.more({ v: 1, id: ask.id, credit: 20_000 });
  await settle();
  expect(bytes()).toBeGreaterThan(before);
  expect(bytes() - before).toBeLessThanOrEqual(20_000 + REMOTE_LIMITS.answerBytes);
});

test('an answer ends when its time is over, and after the device’s own bound whatever was asked', async () => {
  const desk = open();
  desk.asked(wish('logs', { service: SERVICE, logs: { tail: 0, follow: true }, lifeMs: 5_000 }));
  await until(() => sent.length === 1);
  await clock.advance(5_000);
  await over();
  pieces = Array.from({ length: 40 }, () => Buffer.alloc(20_000));
  desk.asked(wish('bundle', { lifeMs: REMOTE_LIMITS.execMs }));
  await until(() => sent.some(({ data }) => data !== undefined));
  await clock.advance(REMOTE_LIMITS.bundleMs);
  await until(() => ends().length === 2, { what: 'the bundle nobody takes to end' });
  expect(ends().map(({ code }) => code)).toEqual(['over', 'over']);
});

test('a program is typed to, resized, and its exit code comes last', async () => {
  const desk = open();
  const ask = wish('exec', { service: SERVICE, exec: { argv: ['sh'], terminal: { columns: 80, rows: 24 } } });
  desk.asked(ask);
  await until(() => sent.length === 1);
  const request = { argv: ['sh'], terminal: { columns: 80, rows: 24, term: 'dumb' } };
  expect(view.exec.opened).toEqual([{ service: SERVICE, request, who: 'ada (server)' }]);
  desk.more({
    v: 1,
    id: ask.id,
    input: Buffer.from('ls\r').toString('base64'),
    resize: { columns: 40, rows: 9 },
  });
  await until(() => program.stdin === 'ls\r');
  program.say('a b\n');
  await until(() => sent.some(({ data }) => data === 'YSBiCg=='));
  expect(program.sizes).toEqual(['40x9']);
  program.exit(3);
  await over();
  expect(ends()).toEqual([{ code: 'done', message: '', exitCode: 3 }]);
  expect(events[0]?.message).toBe(`ada (server) runs in ${SERVICE}: sh`);
});

test.each([
  ['the session for answers is lost', () => lose.at(-1)?.()],
  ['the control session is lost', (desk: RemoteDesk) => desk.closed()],
  ['nobody looks on', (desk: RemoteDesk, id: string) => desk.more({ v: 1, id, end: true })],
])('a program is ended when %s', async (_, happen) => {
  const desk = open();
  const ask = wish('exec', { service: SERVICE, exec: { argv: ['sh'] } });
  desk.asked(ask);
  await until(() => sent.length === 1);
  happen(desk, ask.id);
  await until(() => held === 0);
  expect(program.isClosed).toBe(true);
});

test('why a program may not run is told', async () => {
  view.agentStatus.services = [fakeService(SERVICE, { kind: 'wasm' })];
  open().asked(wish('exec', { service: SERVICE, exec: { argv: ['sh'] } }));
  await over();
  expect(sent).toMatchObject([{ sequence: 0, end: { code: 'refused' } }]);
  expect(ends()[0]?.message).toContain('WebAssembly');
});

test('a bundle goes in pieces that are put together again, no faster than it is taken', async () => {
  const desk = open();
  pieces = Array.from({ length: 40 }, (_, piece) => Buffer.alloc(20_000, piece));
  const ask = wish('bundle');
  desk.asked(ask);
  await until(async () => {
    await clock.advance(200);
    if (sent.length > 0) desk.more({ v: 1, id: ask.id, credit: 60_000 });
    return ends().length > 0;
  });
  const whole = Buffer.concat(sent.map(({ data = '' }) => Buffer.from(data, 'base64')));
  expect(whole.equals(Buffer.concat(pieces))).toBe(true);
});

test('more than a few at a time are refused as busy', async () => {
  const desk = open();
  const logs = { service: SERVICE, logs: { tail: 0, follow: true } };
  for (let count = 0; count <= REMOTE_LIMITS.streams; count++) desk.asked(wish('logs', logs));
  await over();
  expect(ends()).toMatchObject([{ code: 'busy' }]);
});
