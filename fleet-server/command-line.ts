import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { replaceFile } from '../protocol/durable-file.ts';
import type { FleetServerConfig } from './config.ts';
import { secretToken } from './ids.ts';

/** `--data DIR --port P`; everything else has a default. The administrator's password is kept in the data folder. */
export async function readCommandLine(args: string[]): Promise<FleetServerConfig> {
  const { values } = parseArgs({
    args,
    options: {
      data: { type: 'string', default: '.wherry/fleet-server' },
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: '7440' },
      'device-port': { type: 'string', default: '7441' },
      'mqtt-port': { type: 'string', default: '7442' },
      'public-host': { type: 'string', default: 'localhost' },
      'egress-mbit': { type: 'string' },
      'egress-device-mbit': { type: 'string' },
      'delta-cache-gib': { type: 'string' },
      web: { type: 'string' },
      boards: { type: 'string', default: resolve(import.meta.dirname, '../board-configs') },
    },
  });
  const dataDir = resolve(values.data);
  return {
    dataDir,
    host: values.host,
    port: portOf('--port', values.port),
    devicePort: portOf('--device-port', values['device-port']),
    mqttPort: portOf('--mqtt-port', values['mqtt-port']),
    publicHost: values['public-host'],
    ...(values['egress-mbit'] !== undefined && {
      egressBytesPerSecond: egressOf('--egress-mbit', values['egress-mbit']),
    }),
    ...(values['egress-device-mbit'] !== undefined && {
      egressDeviceBytesPerSecond: egressOf('--egress-device-mbit', values['egress-device-mbit']),
    }),
    ...(values['delta-cache-gib'] !== undefined && {
      deltaCacheBytes: deltaCacheOf(values['delta-cache-gib']),
    }),
    ...(values.web === undefined ? {} : { webDir: resolve(values.web) }),
    boardsDir: resolve(values.boards),
    admin: { name: 'admin', password: await adminPassword(dataDir) },
  };
}

async function adminPassword(dataDir: string): Promise<string> {
  const path = join(dataDir, 'admin-password');
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const password = secretToken().slice(0, 20);
  await replaceFile(path, `${password}\n`, 0o600);
  return password;
}

function egressOf(option: string, text: string): number {
  const megabits = Number(text);
  if (!(megabits >= 1 && megabits <= 100_000))
    throw new Error(`Cannot use ${option} ${text}: give megabits per second, from 1 to 100000`);
  return (megabits * 1_000_000) / 8;
}

function deltaCacheOf(text: string): number {
  const gibibytes = Number(text);
  if (!(gibibytes > 0 && gibibytes <= 10_000))
    throw new Error(`Cannot use --delta-cache-gib ${text}: give gibibytes, up to 10000`);
  return gibibytes * 1024 ** 3;
}

function portOf(option: string, text: string): number {
  const port = Number(text);
  if (!/^[0-9]{1,5}$/.test(text) || port > 65_535)
    throw new Error(`Cannot use ${option} ${text}: it is not a port; give a number from 0 to 65535`);
  return port;
}
