// Fetches one object as devices do, in a process of its own: `node fetch-object.ts <job as JSON>`.
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, get } from 'node:https';
import { BulkSession } from '../agent/link/bulk-session.ts';
import { tlsDial } from '../agent/link/dial.ts';
import { systemClock } from '../agent/system-clock.ts';
import type { ChunkSource } from '../agent/update/ports.ts';
import { HttpSource } from '../agent/update/sources/http-source.ts';
import { MqttSource } from '../agent/update/sources/mqtt-source.ts';
import type { EnrolResponse } from '../protocol/enrolment.ts';
import { LIMITS } from '../protocol/limits.ts';

export interface FetchObjectJob {
  /** "get" is one plain GET of the whole object, nothing done with it: the peer; "https" is the agent's source. */
  over: 'mqtt' | 'https' | 'get';
  ports: { mqtt: number; device: number };
  /** Each fetches the whole object, all at once. */
  devices: { identity: EnrolResponse; key: string }[];
  object: string;
  chunks: number;
}

export interface FetchedObject {
  seconds: number;
  cpuSeconds: number;
  bytes: number;
  /** Of the slowest against the quickest device. */
  spread: number;
}

const { over, ports, devices, object, chunks }: FetchObjectJob = JSON.parse(process.argv[2] ?? '');
const { signal } = new AbortController();
const wanted = Array.from({ length: chunks }, (_none, index) => index);

/** What any HTTP client could do. */
function plainGet({
  identity: { ca, certificate: cert },
  key,
}: FetchObjectJob['devices'][number]): ChunkSource {
  const agent = new Agent({ keepAlive: true, ca, cert, key });
  return {
    read: () => Promise.reject(new Error('Cannot read: this one only fetches')),
    fetch: async (name, asked, onChunk) => {
      const range = `bytes=0-${asked.length * LIMITS.chunkBytes - 1}`;
      const headers = asked.length === chunks ? {} : { range };
      const request = get(`https://127.0.0.1:${ports.device}/objects/${name}`, { agent, headers });
      const [answer] = (await once(request, 'response')) as [IncomingMessage];
      answer.on('data', (part: Buffer) => void onChunk(0, part));
      await once(answer, 'end');
    },
  };
}

const sources = devices.map(({ identity, key }): ChunkSource => {
  const { ca, certificate } = identity;
  if (over === 'get') return plainGet({ identity, key });
  if (over === 'https')
    return new HttpSource({
      base: `https://127.0.0.1:${ports.device}/objects`,
      tls: { ca, key, cert: certificate },
    });
  const dial = tlsDial({ host: '127.0.0.1', port: ports.mqtt, key, certificate, ca });
  return new MqttSource({ channel: new BulkSession({ identity, dial, clock: systemClock }) });
});
// Connected and warm: a handshake is no transfer.
let bytes = 0;
const take = async (_index: number, payload: Buffer) => void (bytes += payload.length);
for (const source of sources) await source.fetch(object, wanted.slice(0, 16), take, signal);
bytes = 0;
const begin = performance.now();
const cpu = process.cpuUsage();
const seconds = await Promise.all(
  sources.map(async (source) => {
    await source.fetch(object, wanted, take, signal);
    return (performance.now() - begin) / 1000;
  }),
);
const { user, system } = process.cpuUsage(cpu);
const fetched: FetchedObject = {
  seconds: Math.max(...seconds),
  cpuSeconds: (user + system) / 1e6,
  bytes,
  spread: Math.max(...seconds) / Math.min(...seconds),
};
console.log(JSON.stringify(fetched));
process.exit();
