// `npm run bench -- <name>`: a table for people, then one JSON object on the last line.
import { execFileSync } from 'node:child_process';
import { cpus, totalmem } from 'node:os';
import type { Bench } from './bench.ts';

const BENCHES: Record<string, { about: string; load: () => Promise<{ bench: Bench }> }> = {
  'service-start': {
    about: 'start of one container, and of ten, against crun, runc, podman and docker',
    load: () => import('./service-start.ts'),
  },
  isolation: {
    about: 'latency of a service while its neighbour attacks, alone, under the agent and under docker',
    load: () => import('./isolation.ts'),
  },
  'agent-footprint': {
    about: 'memory and idle CPU of the agent with five services and the link up',
    load: () => import('./agent-footprint.ts'),
  },
  'agent-soak': {
    about: 'what thousands of restarts, reports and reconnects leave in the agent; SOAK_MS sets how long',
    load: () => import('./agent-soak.ts'),
  },
  'update-delta': {
    about:
      'bytes on the wire of real updates, against the whole image compressed; cost of making and using them',
    load: () => import('./update-delta.ts'),
  },
  'update-transfer': {
    about: 'transfer over MQTT against HTTPS from one server process, to one device and to twenty at once',
    load: () => import('./update-transfer.ts'),
  },
  'update-apply': {
    about: 'memory, written bytes and hashing while a device takes a large release',
    load: () => import('./update-apply.ts'),
  },
  'board-boot': {
    about: 'power to agent ready on an emulated board, against a stock Debian arm64 in the same emulator',
    load: () => import('./board-boot.ts'),
  },
  'board-agent': {
    about:
      'on an emulated board with cgroup v2 alone: memory of the agent, start of a container against crun',
    load: () => import('./board-agent.ts'),
  },
  channels: {
    about:
      'round trip, throughput, fan-out and processor time of channels between containers, against sockets, MQTT, iceoryx',
    load: () => import('./channels.ts'),
  },
  'board-size': {
    about: 'the image to flash of each board, compressed, and what a system slot holds',
    load: () => import('./board-size.ts'),
  },
  'update-interruption': {
    about: 'how long an update interrupts a changed service, against a restart of it; and the unchanged ones',
    load: () => import('./update-interruption.ts'),
  },
};

/** First line of what a program prints; "absent" where it is not installed. */
function versionOf(program: string, ...args: string[]): string {
  try {
    return (
      execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split('\n')[0] ??
      ''
    );
  } catch {
    return 'absent';
  }
}

function machine(): Record<string, string | number> {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryMib: Math.round(totalmem() / 1024 ** 2),
    arch: process.arch,
    node: process.version,
    kernel: versionOf('uname', '-r'),
    crun: versionOf('crun', '--version'),
    runc: versionOf('runc', '--version'),
    podman: versionOf('podman', '--version'),
  };
}

const name = process.argv[2] ?? '--list';
const chosen = BENCHES[name];
if (name === '--list') {
  for (const [key, { about }] of Object.entries(BENCHES)) console.log(`${key.padEnd(18)} ${about}`);
} else if (!chosen) {
  console.error(`Cannot run benchmark "${name}": there is none of that name; see npm run bench -- --list`);
  process.exitCode = 2;
} else {
  const { bench } = await chosen.load();
  const { rows, metrics } = await bench();
  console.table(rows);
  console.log(JSON.stringify({ bench: name, metrics, machine: machine() }));
}
