// peer.c says what it does. WHERRY_IPC_LIBRARY: the folder that ipc/build.ts fills.
import { crc32 } from 'node:zlib';

const { openPublisher, openSubscriber } = await import(`${process.env.WHERRY_IPC_LIBRARY}/node/index.js`);
const [role, channel, count, size] = process.argv.slice(2);

async function publish() {
  const publisher = openPublisher(channel);
  for (let i = 0; i < Number(count); i++) {
    const data = Buffer.alloc(Number(size));
    for (let k = 0; k < data.length; k++) data[k] = 7 * k + (k >> 8) + 13 * i;
    if (!(await publisher.send(data, { type: i })))
      throw new Error('Cannot publish: a subscriber is too slow');
  }
  publisher.close();
}

async function subscribe() {
  const subscriber = openSubscriber(channel);
  let left = Number(count);
  for await (const { publisher, sequence, type, data, lost } of subscriber) {
    const sum = crc32(data).toString(16).padStart(8, '0');
    process.stdout.write(`${publisher} ${sequence} ${type} ${data.length} ${sum} ${lost}\n`);
    if (--left === 0) break;
  }
  subscriber.close();
}

await (role === 'pub' ? publish() : subscribe());
