// What the Node client means for a process: when it ends, and that nothing brings it down.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { NODE } from '../../scripts/setup.mjs';
import { makeChannel } from '../support/ipc-channel.ts';
import { buildPeers, clientEnvironment } from '../support/ipc-peers.ts';
import { type Ended, IpcBench, outcome } from '../support/ipc-programs.ts';

const bench = new IpcBench();
beforeAll(async () => void (await buildPeers(bench)), 120_000);
afterAll(() => bench.remove());

const HEAD = `
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { openPublisher, openSubscriber } from '${'$'}{LIBRARY}/node/index.js';
const publish = () => openPublisher('pipe', { service: 'source' });
const subscribe = () => openSubscriber('pipe');
const read = async (subscriber) => { for await (const _ of subscriber); };
const told = (worker, what) => new Promise((resolve) => worker.once(what, resolve));
`;
let scripts = 0;
/** Runs a module with one channel; it can start itself again as a worker thread. */
function play(code: string, mode: 'lossy' | 'reliable' = 'lossy'): Promise<Ended> {
  const dir = bench.channels();
  const ends = { publishers: ['source'], subscribers: ['sink'] };
  makeChannel(dir, { name: 'pipe', mode, ...ends, slotSize: 1024, depth: 8, blockTimeoutMs: 300 });
  const environment = clientEnvironment(dir, 'sink');
  const file = join(bench.programs, `script-${scripts++}.mjs`);
  writeFileSync(file, HEAD.replace('${LIBRARY}', environment['WHERRY_IPC_LIBRARY'] ?? '') + code);
  return outcome([NODE, file], { env: environment, timeoutMs: 50_000 });
}
const fine = (stdout = ''): Ended => ({ code: 0, stdout, stderr: '' });

test('a process ends when nothing is waited for, with both ends open', async () => {
  expect(await play(`publish().publish('x'); globalThis.kept = subscribe(); kept.take();`)).toEqual(fine());
});

test('a wait keeps the process until the message comes', async () => {
  const code = `
    const [publisher, subscriber] = [publish(), subscribe()];
    setTimeout(() => publisher.publish('late'), 200).unref();
    void subscriber.ready().then(() => console.log(String(subscriber.take().data)));
    const holding = setTimeout(() => {}, 300);`;
  expect(await play(code)).toEqual(fine('late\n'));
});

test('a wait that is unref does not keep the process', async () => {
  expect(await play(`void read(subscribe().unref()); console.log('done');`)).toEqual(fine('done\n'));
});

test('process.exit and an uncaught error end a process that waits', async () => {
  expect(await play(`void read(subscribe()); setTimeout(() => process.exit(7), 50);`)).toMatchObject({
    code: 7,
  });
  const thrown = await play(`void read(subscribe()); setTimeout(() => { throw new Error('mine'); }, 50);`);
  expect(thrown).toMatchObject({ code: 1, stderr: expect.stringContaining('Error: mine') });
});

test('worker threads wait on their own, and are ended while they do, again and again', async () => {
  const code = `
    if (isMainThread) {
      const publisher = publish();
      for (let i = 0; i < 10; i++) {
        const worker = new Worker(new URL(import.meta.url));
        await told(worker, 'message');
        publisher.publish('to worker ' + i);
        const text = await told(worker, 'message');
        if (text !== 'to worker ' + i) throw new Error(text);
        await worker.terminate();
      }
      // The last one's end is free again, and this thread's own waiting works.
      const subscriber = subscribe();
      setTimeout(() => publisher.publish('to main'), 20);
      await subscriber.ready();
      console.log(String(subscriber.take().data));
    } else {
      const subscriber = subscribe();
      parentPort.postMessage('open');
      for await (const { data } of subscriber) parentPort.postMessage(String(data));
    }`;
  expect(await play(code)).toEqual(fine('to main\n'));
});

test('a process, and a worker thread, end while a message waits for room, and the end is free', async () => {
  const code = `
    const fill = (publisher) => { for (let i = 0; i < 8; i++) publisher.publish('x'); return publisher; };
    if (isMainThread) {
      const worker = new Worker(new URL(import.meta.url));
      await told(worker, 'message');
      await worker.terminate();
      void publish().send('never');
      setTimeout(() => process.exit(3), 20);
    } else {
      void fill(publish()).send('never');
      parentPort.postMessage('full');
    }`;
  expect(await play(code, 'reliable')).toEqual({ code: 3, stdout: '', stderr: '' });
});

test('subscribers that nobody holds any more are collected, and their end is free', async () => {
  const code = `
    import { setFlagsFromString } from 'node:v8';
    import { setImmediate as turn } from 'node:timers/promises';
    setFlagsFromString('--expose-gc');
    const { runInNewContext } = await import('node:vm');
    const collect = runInNewContext('gc');
    for (let i = 0; i < 20; i++) {
      await (() => subscribe().ready({ timeoutMs: 1 }))();
      for (let tries = 0; tries < 5; tries++) { collect(); await turn(); }
    }
    console.log('free');`;
  expect(await play(code)).toEqual(fine('free\n'));
});

test('opening, waiting and closing at random from four threads brings nothing down', async () => {
  const code = `
    const random = (n) => Math.floor(Math.random() * n);
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const end = Date.now() + 3000;
    async function churn(open, use) {
      while (Date.now() < end) {
        let it;
        try { it = open(); } catch (error) { if (error.code !== 'WIPC_EBUSY') throw error; await pause(random(3)); continue; }
        const using = use(it);
        await pause(random(4));
        it.close();
        await using;
      }
    }
    const flood = async (publisher) => { while (!publisher.isClosed) { publisher.publish('x'); await pause(0); } };
    if (isMainThread) for (let i = 0; i < 3; i++) new Worker(new URL(import.meta.url));
    await Promise.all([churn(publish, flood), churn(subscribe, read)]);
    if (isMainThread) console.log('well');`;
  expect(await play(code)).toEqual(fine('well\n'));
});
