// The Node half of the benchmark `channels`: the roles, arguments and JSON of ipc/c/bench/bench.h, for three transports.
//   channel-client.js <ring|uds|mqtt> <ping|echo|source|sink> --size … --messages … [--rate …] --out … --in …
import { createConnection, createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const WARM_UP = 1000;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: Object.fromEntries(
    ['size', 'messages', 'rate', 'out', 'in'].map((name) => [name, { type: 'string' }]),
  ),
});
const [transport, role] = positionals;
const b = { size: Number(values.size), messages: Number(values.messages), rate: Number(values.rate ?? 0) };
const warm = Math.min(WARM_UP, Math.floor(b.messages / 10));
const cpuUs = () => process.cpuUsage().user + process.cpuUsage().system;
const idle = () => undefined;
const tell = (numbers) => console.log(JSON.stringify({ transport, role, size: b.size, ...numbers }));

/** Each transport: send (a promise only where it must wait), receive (how many messages came), close. */
const TRANSPORTS = { ring, uds, mqtt };

async function ring() {
  const { openPublisher, openSubscriber } = await import(process.env.WHERRY_IPC_CLIENT);
  const subscriber = values.in && openSubscriber(values.in);
  const publisher = values.out && openPublisher(values.out);
  const batches = subscriber?.batches({ reuse: true });
  const one = Buffer.alloc(b.size);
  return {
    send: (data) => {
      while (!publisher.publish(data, { timeoutMs: 200 }));
    },
    receive: async () => {
      for (;;) {
        const message = subscriber.takeInto(one);
        if (message !== undefined) return message.lost + 1;
        await subscriber.ready();
      }
    },
    receiveMany: async () => {
      let count = 0;
      for (const { data, lost } of (await batches.next()).value) count += data.length > 0 ? lost + 1 : 0;
      return count;
    },
    close: () => {
      subscriber?.close();
      publisher?.close();
    },
  };
}

async function uds() {
  const path = values.out ?? values.in;
  const listens = role === 'echo' || role === 'sink';
  const socket = await (listens ? accepted(path) : connected(path));
  const queue = arrivals();
  socket.on('data', (chunk) => queue.add(chunk.length));
  const receiveMany = () => queue.take(b.size);
  return {
    send: (data) => {
      if (!socket.write(data)) return new Promise((resolve) => socket.once('drain', resolve));
    },
    receive: receiveMany,
    receiveMany,
    close: () => socket.end(),
  };
}

/** What came and was not taken: bytes, or messages. */
function arrivals() {
  const state = { held: 0, wake: idle };
  return {
    add: (amount) => {
      state.held += amount;
      state.wake();
    },
    /** How many whole units of that many there are, at least one. */
    take: async (unit) => {
      while (state.held < unit) await new Promise((resolve) => (state.wake = resolve));
      const count = Math.floor(state.held / unit);
      state.held -= count * unit;
      return count;
    },
  };
}

const accepted = (path) =>
  new Promise((resolve) => {
    const server = createServer((socket) => {
      server.close();
      resolve(socket);
    }).listen(path);
  });

async function connected(path) {
  for (;;) {
    const socket = createConnection(path);
    const isThere = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    if (isThere) return socket;
    await pause(10);
  }
}

async function mqtt() {
  const { connectAsync } = (await import(process.env.WHERRY_MQTT)).default;
  const client = await connectAsync('mqtt://127.0.0.1:1883');
  const queue = arrivals();
  client.on('message', (topic) => topic === values.in && queue.add(1));
  const ready = `${values.in}/ready`;
  if (values.in) {
    await client.subscribeAsync(values.in);
    // Retained: a sender that starts later sees it too.
    await client.publishAsync(ready, '1', { retain: true });
  }
  if (values.out) await readyPeer(client, `${values.out}/ready`);
  const receiveMany = () => queue.take(1);
  let sent = 0;
  return {
    // Its callback comes when the packet is with the kernel; the queue of the client is not the benchmark.
    send: (data) => {
      if (++sent % 64 !== 0) return void client.publish(values.out, data);
      return client.publishAsync(values.out, data);
    },
    receive: receiveMany,
    receiveMany,
    close: async () => {
      if (values.in) await client.publishAsync(ready, '', { retain: true });
      await client.endAsync();
    },
  };
}

async function readyPeer(client, topic) {
  const seen = new Promise((resolve) => {
    client.on('message', (name, payload) => name === topic && payload.length > 0 && resolve());
  });
  await client.subscribeAsync(topic);
  await seen;
  await client.unsubscribeAsync(topic);
}

const due = (start, sent) => start + (sent * 1000) / b.rate;
async function pace(start, sent) {
  const wait = b.rate === 0 ? 0 : due(start, sent) - performance.now();
  if (wait > 0) await pause(wait);
}

async function ping(it) {
  const data = Buffer.alloc(b.size, 0x5a);
  const us = new Float64Array(b.messages);
  for (let i = -warm; i < b.messages; i++) {
    const before = performance.now();
    await it.send(data);
    await it.receive();
    if (i >= 0) us[i] = (performance.now() - before) * 1000;
  }
  us.sort();
  const at = (share) => us[Math.floor(b.messages * share)];
  tell({ rounds: b.messages, p50Us: at(0.5), p90Us: at(0.9), p99Us: at(0.99) });
}

async function echo(it) {
  const data = Buffer.alloc(b.size, 0x5a);
  for (let i = 0; i < warm + b.messages; i++) {
    await it.receive();
    await it.send(data);
  }
  tell({ rounds: warm + b.messages });
}

function flow(count, seconds, cpu) {
  const rates = { messagesPerSecond: count / seconds, megabytesPerSecond: (count * b.size) / seconds / 1e6 };
  tell({ messages: count, seconds, ...rates, cpuUsPerMessage: cpu / count });
}

async function source(it) {
  const data = Buffer.alloc(b.size, 0x5a);
  const cpu = cpuUs();
  const start = performance.now();
  for (let i = 0; i < b.messages; i++) {
    // As fast as the timer allows: what is due goes out together.
    if (b.rate > 0 && due(start, i) > performance.now()) await pace(start, i);
    const sending = it.send(data);
    if (sending) await sending;
  }
  flow(b.messages, (performance.now() - start) / 1000, cpuUs() - cpu);
}

async function sink(it) {
  let got = 0;
  let [start, before, cpu] = [0, 0, 0];
  while (got < b.messages) {
    got += await it.receiveMany();
    if (start === 0 && got > warm) [start, before, cpu] = [performance.now(), got, cpuUs()];
  }
  flow(got - before, (performance.now() - start) / 1000, cpuUs() - cpu);
}

const it = await TRANSPORTS[transport]();
await { ping, echo, source, sink }[role](it);
await it.close();
