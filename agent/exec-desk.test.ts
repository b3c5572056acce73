import { expect, test } from 'vitest';
import { execDesk } from './exec-desk.ts';
import { FakeExecSession } from './local-api/fake-exec.ts';
import { fakeService, NOW } from './local-api/fake-status.ts';
import type { ExecRequest } from './supervisor/session-port.ts';

function bench(openSession = (): Promise<FakeExecSession> => Promise.resolve(new FakeExecSession())) {
  const events: { service?: string; code: string; message: string }[] = [];
  const asked: string[] = [];
  const services = [
    fakeService('web'),
    fakeService('rules', { kind: 'wasm' }),
    fakeService('late', { state: 'backing_off', pid: undefined }),
  ];
  const desk = execDesk({
    supervisor: { statuses: () => services, instanceOf: (service) => `${service}.2` },
    sessions: {
      openSession: (service) => {
        asked.push(service);
        return openSession();
      },
    },
    userOf: () => ({ uid: 1000, gid: 100 }),
    outbox: { add: (event) => void events.push(event) },
    clock: { now: () => NOW },
  });
  return { desk, events, asked };
}

const sh = (more: Partial<ExecRequest> = {}): ExecRequest => ({
  argv: ['sh', '-c', 'echo hunter2'],
  ...more,
});

test('who ran what is an event, without the arguments', async () => {
  const { desk, events, asked } = bench();
  await desk.open('web', sh(), 'ada');
  await desk.open('web', sh({ terminal: { columns: 80, rows: 24, term: 'xterm' } }), 'grace');
  expect(events).toEqual([
    { kind: 'service', service: 'web', code: 'exec.opened', message: 'ada ran sh in it', at: NOW },
    {
      kind: 'service',
      service: 'web',
      code: 'exec.opened',
      message: 'grace ran sh in it on a terminal',
      at: NOW,
    },
  ]);
  expect(asked).toEqual(['web.2', 'web.2']);
});

test.each([
  ['nobody', {}, 'unknown-service', 'the agent does not know it'],
  ['rules', {}, 'exec-refused', 'WebAssembly'],
  ['late', {}, 'not-running', 'it is backing off'],
  ['web', { user: '0' }, 'exec-refused', 'its user is 1000:100, and nothing in it is had as another'],
  ['web', { user: '1000:0' }, 'exec-refused', 'its user is 1000:100'],
])('%s %o is refused as %s', async (service, more, code, why) => {
  const { desk, events, asked } = bench();
  const answer = await desk.open(service, sh(more), 'ada');
  expect(answer).toMatchObject({ code, refused: expect.stringContaining(why) });
  expect([events, asked]).toEqual([[], []]);
});

test.each(['1000', '1000:100'])('its own user %s is had', async (user) => {
  expect(await bench().desk.open('web', sh({ user }), 'ada')).not.toHaveProperty('refused');
});

test('the ninth is refused until one has ended', async () => {
  const open: (() => void)[] = [];
  const { desk } = bench(() => {
    const session = new FakeExecSession();
    const ended = new Promise<number>((resolve) => open.push(() => resolve(0)));
    Object.defineProperty(session, 'exitCode', { value: ended });
    return Promise.resolve(session);
  });
  for (let count = 0; count < 8; count++)
    expect(await desk.open('web', sh(), 'ada')).not.toHaveProperty('refused');
  expect(await desk.open('web', sh(), 'ada')).toMatchObject({ code: 'exec-refused' });
  open[0]?.();
  await new Promise(setImmediate);
  expect(await desk.open('web', sh(), 'ada')).not.toHaveProperty('refused');
});

test('a container that has just ended is told as one that does not run', async () => {
  const { desk, events } = bench(() => Promise.reject(new Error('Cannot run sh: it does not run; start it')));
  expect(await desk.open('web', sh(), 'ada')).toEqual({
    code: 'not-running',
    refused: 'Cannot run sh: it does not run; start it',
  });
  expect(events).toEqual([]);
});
