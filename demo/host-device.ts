import { join } from 'node:path';
import { runCli } from '../agent/cli/main.ts';
import { ROOT } from '../scripts/setup.mjs';
import type { DemoDevice } from './device.ts';
import type { Layout } from './layout.ts';
import { leftovers } from './leftovers.ts';
import { Part } from './processes.ts';
import { DEVICE_NAME, deviceConfig } from './provision.ts';

/** An agent on this machine. */
export function hostDevice(layout: Layout, instance: string): DemoDevice {
  const { socket, config, log } = layout.device;
  return {
    name: DEVICE_NAME,
    serverHost: 'localhost',
    upTimeoutMs: 60_000,
    prepare: (client) => deviceConfig(layout, instance, client),
    start: () => new Part('device agent', [join(ROOT, 'bin/wherry-agent'), '--config', config], log),
    show: () => showDevice(socket),
    next: [
      `- export WHERRY_SOCKET=${socket}`,
      '  bin/wherry status          what the device runs and why',
      '  bin/wherry logs -f analyser',
      '  bin/wherry ipc top         what passes between the services through shared memory; ipc tap readings: the messages',
      '  bin/wherry why analyser    why it waited, started, is held back',
      '  bin/wherry inspect redis   its budget as asked and as the kernel holds it, its network, its isolation',
      '- kill the agent (pkill -9 -f dist/agent/main.js): its services run on, the next agent takes them over',
    ],
    leftovers: () => leftovers(layout, instance),
  };
}

async function showDevice(socket: string): Promise<void> {
  const io = {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    isTTY: process.stdout.isTTY === true,
    signal: AbortSignal.timeout(10_000),
  };
  await runCli(['ps', '--socket', socket], io);
  process.stdout.write('\n');
  await runCli(['ipc', 'ls', '--socket', socket], io);
}
