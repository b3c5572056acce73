import { fork } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import mqtt from 'mqtt';
import { signingRequest } from '../../agent/enrolment/device-key.ts';
import { type FleetServer, type FleetServerConfig, startFleetServer } from '../../fleet-server/main.ts';
import { NODE_FLAGS } from '../../fleet-server/node-flags.ts';
import { decodeChunk, encodeBitmap } from '../../protocol/chunk-frame.ts';
import { type EnrolResponse, parseJoinString } from '../../protocol/enrolment.ts';
import type { Report, UpdateStatus } from '../../protocol/messages.ts';
import { bulkClientId, downTopic, upTopic } from '../../protocol/topics.ts';
import type { ServerCost } from './fleet-child.ts';
import { until } from './until.ts';

export const ADMIN = { name: 'admin', password: 'correct horse battery' };

// Answers are asserted on, field by field; their types are the server's own business.
// oxlint-disable-next-line typescript/no-explicit-any
type Json = any;

export interface ApartFleet {
  fleet: TestFleet;
  cost(): Promise<ServerCost>;
}

/** A fleet server on free ports over a folder of its own. */
export class TestFleet {
  readonly dataDir: string;
  server!: FleetServer;
  #token = '';

  private constructor(dataDir: string) {
    this.dataDir = dataDir;
  }

  static async start(overrides: Partial<FleetServerConfig> = {}): Promise<TestFleet> {
    const fleet = new TestFleet(await mkdtemp(join(tmpdir(), 'wherry-fleet-')));
    await fleet.open(overrides);
    return fleet;
  }

  /** The server as a process of its own, so that what it costs is told apart. */
  static async startApart(overrides: Partial<FleetServerConfig> = {}): Promise<ApartFleet> {
    const fleet = new TestFleet(await mkdtemp(join(tmpdir(), 'wherry-fleet-')));
    const program = join(import.meta.dirname, 'fleet-child.ts');
    const child = fork(program, [JSON.stringify(fleet.config(overrides))], {
      execArgv: [...process.execArgv, ...NODE_FLAGS],
    });
    const told = async <T>(): Promise<T> => (await once(child, 'message'))[0] as T;
    const opened = await told<Pick<FleetServer, 'url' | 'ports'>>();
    const cost = (): Promise<ServerCost> => {
      const answer = told<ServerCost>();
      child.send('cost');
      return answer;
    };
    const close = async () => {
      const exit = once(child, 'exit');
      child.send('close');
      await exit;
    };
    fleet.server = { ...opened, close, sentBytes: () => 0 };
    return { fleet, cost };
  }

  config(overrides: Partial<FleetServerConfig> = {}): FleetServerConfig {
    return {
      dataDir: this.dataDir,
      host: '127.0.0.1',
      port: 0,
      devicePort: 0,
      mqttPort: 0,
      publicHost: 'localhost',
      boardsDir: resolve(import.meta.dirname, '../../board-configs'),
      admin: ADMIN,
      logLevel: (process.env['TEST_LOG'] as 'info' | undefined) ?? 'silent',
      ...overrides,
    };
  }

  /** Of an administrator, once a call was made. */
  get token(): string {
    return this.#token;
  }

  async open(overrides: Partial<FleetServerConfig> = {}): Promise<void> {
    this.server = await startFleetServer(this.config(overrides));
  }

  /** A call with an API token, made at the first one. */
  async api(method: string, path: string, body?: unknown): Promise<{ status: number; body: Json }> {
    if (!this.#token) this.#token = await this.#apiToken();
    const isBytes = body instanceof Uint8Array;
    const response = await fetch(`${this.server.url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(body === undefined
          ? {}
          : { 'content-type': isBytes ? 'application/octet-stream' : 'application/json' }),
      },
      ...(body === undefined
        ? {}
        : { body: isBytes ? (body as Uint8Array<ArrayBuffer>) : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text ? JSON.parse(text) : undefined };
  }

  /** The SSE stream, as text that grows. */
  async watch(): Promise<{ text: string; stop: () => void }> {
    const stop = new AbortController();
    const response = await fetch(`${this.server.url}/api/v1/stream`, {
      headers: { authorization: `Bearer ${this.#token}` },
      signal: stop.signal,
    });
    const seen = { text: '', stop: () => stop.abort() };
    void (async () => {
      for await (const piece of response.body ?? []) seen.text += Buffer.from(piece).toString();
    })().catch(() => {});
    return seen;
  }

  async #apiToken(): Promise<string> {
    const login = await fetch(`${this.server.url}/api/v1/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(ADMIN),
    });
    const cookie = login.headers.getSetCookie()[0]?.split(';')[0] ?? '';
    const made = await fetch(`${this.server.url}/api/v1/api-tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', cookie, origin: this.server.url },
      body: JSON.stringify({ note: 'test' }),
    });
    return ((await made.json()) as { token: string }).token;
  }

  async joinToken(uses = 1): Promise<string> {
    const made = await this.api('POST', '/enrolment-tokens', { uses, expiresInSeconds: 600 });
    return parseJoinString(made.body.joinString)?.token ?? '';
  }

  enrol(body: object): Promise<{ status: number; body: Json }> {
    return new Promise((done, fail) => {
      const call = request(
        {
          host: '127.0.0.1',
          port: this.server.ports.device,
          path: '/enrol',
          method: 'POST',
          // The CA arrives with the answer; pinning it is the agent's part.
          rejectUnauthorized: false,
          headers: { 'content-type': 'application/json' },
        },
        (response) => {
          let text = '';
          response.on('data', (piece) => (text += piece));
          response.on('end', () => done({ status: response.statusCode ?? 0, body: JSON.parse(text) }));
        },
      );
      call.on('error', fail);
      call.end(JSON.stringify(body));
    });
  }

  async device(name: string, board = 'generic-amd64'): Promise<TestDevice> {
    const { csr, key } = certificateRequest('whatever');
    const { body } = await this.enrol({
      v: 1,
      token: await this.joinToken(),
      csr,
      name,
      board,
      platform: 'linux/amd64',
    });
    return new TestDevice(this, body as EnrolResponse, key);
  }

  async close(): Promise<void> {
    await this.server.close();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}

export function certificateRequest(name: string): { csr: string; key: string } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { csr: signingRequest(key, name), key };
}

/** A device that speaks the protocol by hand. */
export class TestDevice {
  readonly fleet: TestFleet;
  readonly identity: EnrolResponse;
  readonly key: string;
  readonly received: { channel: string; payload: Buffer }[] = [];
  readonly clients: mqtt.MqttClient[] = [];
  #sequence = 0;
  #request = 0;

  constructor(fleet: TestFleet, identity: EnrolResponse, key: string) {
    this.fleet = fleet;
    this.identity = identity;
    this.key = key;
  }

  get id(): string {
    return this.identity.device;
  }

  async connect(session: 'control' | 'bulk', options: mqtt.IClientOptions = {}): Promise<mqtt.MqttClient> {
    const client = await mqtt.connectAsync(
      `mqtts://127.0.0.1:${this.fleet.server.ports.mqtt}`,
      {
        servername: 'localhost',
        ca: this.identity.ca,
        cert: this.identity.certificate,
        key: this.key,
        clientId: session === 'bulk' ? bulkClientId(this.id) : this.id,
        reconnectPeriod: 0,
        connectTimeout: 5_000,
        ...options,
      },
      false,
    );
    this.clients.push(client);
    client.on('error', () => {});
    client.on('message', (topic, payload) =>
      this.received.push({ channel: topic.split('/').at(-1) ?? '', payload }),
    );
    await client.subscribeAsync(`dn/default/${this.id}/+`);
    return client;
  }

  async hello(client: mqtt.MqttClient, generation = 0): Promise<void> {
    const body = {
      v: 1,
      bootId: 'boot',
      agentVersion: '0.1.0',
      board: 'generic-amd64',
      platform: 'linux/amd64',
      generation,
      memoryBytes: 1,
      cpus: 1,
    };
    await client.publishAsync(upTopic('default', this.id, 'hello'), JSON.stringify(body), { qos: 1 });
  }

  async report(
    client: mqtt.MqttClient,
    generation: number,
    update: Partial<UpdateStatus>,
    current?: Report['current'],
  ): Promise<void> {
    const budget = { memoryMaxBytes: 1, cpuMax: 1, pidsMax: 1 };
    const usage = { memoryBytes: 5, cpu: 0.5, pids: 2, throttledMs: 0 };
    const reason = { code: 'start.desired', message: '', at: 1 } as const;
    const body: Report = {
      v: 1,
      at: 1,
      sequence: this.#sequence++,
      generation,
      update: { phase: 'idle', since: 0, ...update },
      ...(current ? { current } : {}),
      services: [
        { name: 'web', state: 'running', since: 1, reason, restarts: 0, oomKills: 0, budget, usage },
      ],
      device: {
        uptimeMs: 1,
        load1: 0,
        memoryTotalBytes: 1,
        memoryAvailableBytes: 1,
        diskTotalBytes: 1,
        diskFreeBytes: 1,
        agentRssBytes: 1,
      },
    };
    await client.publishAsync(upTopic('default', this.id, 'report'), JSON.stringify(body), { qos: 1 });
  }

  next(channel: string): Promise<Buffer> {
    return until(
      () => {
        const at = this.received.findIndex((message) => message.channel === channel);
        return at < 0 ? undefined : this.received.splice(at, 1)[0]?.payload;
      },
      { what: `a message on dn/…/${channel}` },
    );
  }

  /** Fetches a whole object over the bulk session, `window` chunks a request. */
  async fetch(bulk: mqtt.MqttClient, object: string, window = 8): Promise<Buffer> {
    const chunkBytes = 64 * 1024;
    const pieces: Buffer[] = [];
    let total = 1;
    for (let first = 0; first * chunkBytes < total; ) {
      const most = first === 0 ? 1 : Math.min(window, Math.ceil(total / chunkBytes) - first);
      const asked = Array.from({ length: most }, (_, at) => first + at);
      const answered = new Promise<void>((done, fail) => {
        let left = asked.length;
        const take = (topic: string, payload: Buffer) => {
          if (topic === downTopic('default', this.id, 'fault')) fail(new Error(payload.toString()));
          const frame = decodeChunk(payload);
          if (!frame) return;
          pieces[frame.index] = frame.payload;
          total = frame.objectBytes;
          if (--left > 0) return;
          bulk.off('message', take);
          done();
        };
        bulk.on('message', take);
      });
      const get = { v: 1, request: this.#request++, object, chunkBytes, ...encodeBitmap(asked) };
      await bulk.publishAsync(upTopic('default', this.id, 'get'), JSON.stringify(get));
      await answered;
      first += most;
    }
    return Buffer.concat(pieces);
  }

  async close(): Promise<void> {
    for (const client of this.clients) await client.endAsync(true);
  }
}
