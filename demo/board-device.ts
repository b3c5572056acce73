import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { servicesTable } from '../agent/cli/core/services-table.ts';
import { buildBoard } from '../boards/builder/build-board.ts';
import { HOST_ADDRESS } from '../boards/emulator/qemu-arguments.ts';
import { ROOT, say } from '../scripts/setup.mjs';
import type { DemoDevice } from './device.ts';
import type { Layout } from './layout.ts';
import { Part } from './processes.ts';

const VARIANT = 'development';

/** An emulated board, set up as any other: by two files on its first partition. */
export function boardDevice({ board: place, signer }: Layout, board: string): DemoDevice {
  const wishes = join(place.dir, 'wherry.json');
  const root = join(signer.keys, 'repository/1.root.json');
  const name = `demo-${board}`;
  return {
    name,
    serverHost: HOST_ADDRESS,
    upTimeoutMs: 1_200_000,
    prepare: async (client) => {
      await buildBoard({ board, variant: VARIANT, onProgress: say });
      // Of use to a board that boots for the first time; one that is enrolled has an identity and does not look.
      const server = await client.joinString();
      writeFileSync(wishes, JSON.stringify({ name, server }), { mode: 0o600 });
    },
    start: () => {
      const files = ['--wherry-json', wishes, '--root', root];
      const args = ['board', 'run', board, '--variant', VARIANT, '--dir', place.dir, ...files];
      return new Part('emulated board', [join(ROOT, 'bin/wherry'), ...args], place.log);
    },
    show: async ({ report }) => {
      const { heading, services } = servicesTable(
        report?.services ?? [],
        report?.at ?? 0,
        Number.POSITIVE_INFINITY,
      );
      process.stdout.write([...heading, ...services.flat()].map((line) => `${line}\n`).join(''));
    },
    next: [
      `- look at its serial line: tail -f ${join(place.dir, '1/console.log')}`,
      `- cut its power (kill -9 the qemu-system-aarch64 of ${place.dir}): it boots again by itself, with the release it had`,
    ],
    leftovers: () => emulatorsOf(place.dir),
  };
}

function emulatorsOf(dir: string): string[] {
  return globSync('/proc/[0-9]*/cmdline').flatMap((file) => {
    const command = commandOf(file);
    return command.startsWith('qemu') && command.includes(dir) ? [`process ${file.split('/')[2]}`] : [];
  });
}

function commandOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // It ended between the look and the read.
    return '';
  }
}
