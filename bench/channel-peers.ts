// What the benchmark `channels` compares: how each transport's programs are started, and at which share of the messages.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { buildIpcBench } from '../ipc/build.ts';
import type { BenchContainers, Running } from './channel-containers.ts';

export interface Task {
  role: 'ping' | 'echo' | 'source' | 'sink';
  size: number;
  messages: number;
  rate?: number;
}

export interface Peer {
  /** Arguments of the program for a task; `label` names the channel, the socket or the topic. */
  command(task: Task, label: string): string[];
  /** Of the messages that a channel in C is given: slow ones would take all day. */
  share: number;
  /** Joins the network namespace of the others. */
  isShared?: boolean;
  /** Another process that works for every message. */
  broker?: Running;
}

const NODE = '/wherry/node_modules/node/bin/node';
const CLIENT = '/wherry/bench/channel-client';

const numbers = ({ role, size, messages, rate = 0 }: Task): string[] => {
  const flags = ['--size', size, '--messages', messages, '--rate', rate].map(String);
  return [role, ...flags];
};

/** Two names, one for each direction. */
function named(task: Task, label: string, there: string, back: string): string[] {
  const [ping, pong] = [`${there}${label}`, `${back}${label}`];
  const { role } = task;
  if (role === 'ping') return ['--out', ping, '--in', pong];
  if (role === 'echo') return ['--in', ping, '--out', pong];
  return [role === 'source' ? '--out' : '--in', label];
}

const channels = (task: Task, label: string): string[] => named(task, label, 'ping-', 'pong-');

let pairs = 0;
/** Of its own for each pair: receivers are started first. */
function fresh({ role }: Task): number {
  return role === 'echo' || role === 'sink' ? ++pairs : pairs;
}

function socket(task: Task): string[] {
  const path = `/tmp/${fresh(task)}.sock`;
  return [task.role === 'echo' || task.role === 'sink' ? '--in' : '--out', path];
}

/** Both ends one file in memory. */
const file = (task: Task): string[] => {
  const path = `/dev/shm/${fresh(task)}.bare`;
  return [task.role === 'sink' ? '--in' : '--out', path];
};

function installed(name: string, folders: string[]): boolean {
  const found = folders.some((folder) => existsSync(join(folder, name)));
  if (!found) console.error(`Not compared: ${name} is not installed; its keys are left out`);
  return found;
}

const MOSQUITTO = ['listener 1883 127.0.0.1', 'allow_anonymous true', 'persistence false', 'log_type error'];
const NO_LIMITS = ['max_queued_messages 0', 'max_inflight_messages 0', 'set_tcp_nodelay true', 'user root'];

async function mqttPeer(containers: BenchContainers): Promise<Peer | undefined> {
  if (!installed('mosquitto', ['/usr/sbin'])) return undefined;
  writeFileSync(join(containers.programs, 'mosquitto.conf'), [...MOSQUITTO, ...NO_LIMITS, ''].join('\n'));
  const args = ['/usr/sbin/mosquitto', '-c', '/programs/mosquitto.conf'];
  const broker = await started(containers.start('broker', args, { isShared: true }), 'mosquitto');
  return {
    share: 0.01,
    isShared: true,
    broker,
    command: (task) => [NODE, `${CLIENT}.js`, 'mqtt', ...numbers(task), ...channels(task, `${fresh(task)}`)],
  };
}

async function iceoryxPeer(containers: BenchContainers, program?: string): Promise<Peer | undefined> {
  if (program === undefined) console.error('Not compared: libiceoryx-binding-c-dev is not installed');
  if (program === undefined || !installed('iox-roudi', ['/usr/bin'])) return undefined;
  const daemon = ['/usr/bin/iox-roudi', '-m', 'off', '-l', 'error'];
  await started(containers.start('broker', daemon), 'iox-roudi');
  return {
    share: 0.2,
    command: (task, label) => ['/programs/bench-iceoryx', ...numbers(task), ...channels(task, label)],
  };
}

/** Long enough to be listening, or to have failed. */
async function started(running: Running, name: string): Promise<Running> {
  const failure = await Promise.race([running.ended.then(() => 'it ended').catch(String), pause(2000)]);
  if (failure !== undefined) throw new Error(`Cannot start ${name}: ${failure}`);
  return running;
}

/** A program of ipc/c/bench; where it finds its other end. */
function c(
  name: string,
  place: (task: Task, label: string) => string[],
  ...flags: string[]
): Peer['command'] {
  return (task, label) => [`/programs/bench-${name}`, ...numbers(task), ...flags, ...place(task, label)];
}

/** Channels as they are without looking before a sleep. */
const sleeping =
  (command: Peer['command']): Peer['command'] =>
  (task, label) => ['/usr/bin/env', 'WHERRY_IPC_LINGER_US=0', ...command(task, label)];

export async function openPeers(containers: BenchContainers): Promise<Record<string, Peer>> {
  const programs = await buildIpcBench(containers.programs);
  const client = [NODE, `${CLIENT}.js`];
  const mqtt = await mqttPeer(containers);
  const iceoryx = await iceoryxPeer(containers, programs.iceoryx);
  return {
    c: { share: 1, command: c('ring', channels) },
    c_futex: { share: 1, command: sleeping(c('ring', channels)) },
    c_spin: { share: 0.3, command: c('ring', channels, '--spin') },
    bare: { share: 1, command: c('bare', file) },
    uds: { share: 0.3, command: c('uds', socket) },
    memcpy: { share: 1, command: (task) => ['/programs/bench-memory', ...numbers(task)] },
    node: {
      share: 0.3,
      command: (task, label) => [...client, 'ring', ...numbers(task), ...channels(task, label)],
    },
    node_uds: { share: 0.05, command: (task) => [...client, 'uds', ...numbers(task), ...socket(task)] },
    python: {
      share: 0.1,
      command: (task, label) => [
        '/usr/bin/python3',
        `${CLIENT}.py`,
        ...numbers(task),
        ...channels(task, label),
      ],
    },
    ...(mqtt && { mqtt }),
    ...(iceoryx && { iceoryx }),
  };
}
