import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openSlots } from '../../agent/system-slots/open-slots.ts';
import type { BlobStore, Slot, SystemSlots } from '../../agent/update/ports.ts';
import { CHOICE_SECTOR, PARTITIONS, SECTOR, slotPartitions, TRIES_SECTOR } from '../../boards/layout.ts';
import { decodeEnvironment, encodeEnvironment } from '../../boards/uboot/environment.ts';
import { sha256Hex } from '../../protocol/canonical.ts';
import type { Manifest, ManifestBlob } from '../../protocol/manifest.ts';
import type { TestRepository } from '../support/test-repository.ts';
import { RECEIVER } from './agent.ts';

/** What is in a slot says of itself which system it is, and whether it is whole. */
const BOOT_BYTES = 16 * 1024;
const ROOT_BYTES = 1024 ** 2 + 64 * 1024;
const DIGEST_BYTES = 64;

function systemContent(version: string, bytes: number): Buffer {
  const body = Buffer.concat([Buffer.from(`${version}\n`), randomBytes(bytes)]).subarray(
    0,
    bytes - DIGEST_BYTES,
  );
  return Buffer.concat([body, Buffer.from(sha256Hex(body))]);
}

/** The version that whole content names; undefined when it is not whole. */
function versionIn(content: Buffer): string | undefined {
  const body = content.subarray(0, -DIGEST_BYTES);
  return sha256Hex(body) === content.subarray(-DIGEST_BYTES).toString()
    ? body.subarray(0, body.indexOf('\n')).toString()
    : undefined;
}

/** What a release brings as the system of its board. */
export async function ownSystem(
  repository: TestRepository,
  version: string,
): Promise<Pick<Manifest, 'system'>> {
  const blob = async (bytes: number): Promise<ManifestBlob> => {
    const { verity, size } = await repository.layer(bytes, Buffer.from(systemContent(version, bytes)));
    return { verity, size };
  };
  const parts = { boot: await blob(BOOT_BYTES), root: await blob(ROOT_BYTES) };
  return { system: { version, boards: { [RECEIVER.board]: parts } } };
}

export const boardDisk = (stateDir: string): string => join(stateDir, 'board/disk.img');

/** As it is flashed, with the system "shipped" in slot a. Blocks that are written to later are there already. */
export function flashBoard(stateDir: string): void {
  const path = boardDisk(stateDir);
  mkdirSync(dirname(path), { recursive: true });
  const disk = openSync(path, 'w');
  const put = (sector: number, content: Buffer) =>
    writeSync(disk, content, 0, content.length, sector * SECTOR);
  put(CHOICE_SECTOR, Buffer.alloc(4096));
  put(PARTITIONS['boot-a'].start, systemContent('shipped', BOOT_BYTES));
  put(PARTITIONS['system-a'].start, systemContent('shipped', ROOT_BYTES));
  put(PARTITIONS['boot-b'].start, Buffer.alloc(BOOT_BYTES));
  put(PARTITIONS['system-b'].start, Buffer.alloc(ROOT_BYTES));
  fsyncSync(disk);
  closeSync(disk);
}

export interface BoardBoot {
  slot: Slot;
  trial: string | undefined;
  /** The whole system that runs, by its version. */
  system: string;
  id: string;
}

/** What U-Boot's script does until a kernel stays up: boards/uboot/boot.cmd. Throws when what it starts is not whole. */
export function bootBoard(stateDir: string, illSystems: readonly string[]): BoardBoot {
  const { active, trial, token } = readEnvironment(stateDir, CHOICE_SECTOR);
  const { tried } = readEnvironment(stateDir, TRIES_SECTOR);
  const boot = (slot: Slot, by?: string): BoardBoot | undefined => {
    const system = systemIn(stateDir, slot);
    if (system === undefined)
      throw new Error(`Cannot boot slot ${slot}: what is in it is not one whole system`);
    return illSystems.includes(system)
      ? undefined
      : { slot, trial: by, system, id: randomBytes(8).toString('hex') };
  };
  if (token && tried !== token && (trial === 'a' || trial === 'b')) {
    writeTried(stateDir, token);
    return boot(trial, token) ?? bootBoard(stateDir, illSystems);
  }
  const booted = boot(active === 'b' ? 'b' : 'a');
  if (!booted) throw new Error('Cannot boot: the system of the active slot does not come up');
  return booted;
}

export function systemIn(stateDir: string, slot: Slot): string | undefined {
  const { boot, system } = slotPartitions(slot);
  const versions = [
    versionIn(readAt(stateDir, boot.start, BOOT_BYTES)),
    versionIn(readAt(stateDir, system.start, ROOT_BYTES)),
  ];
  return versions[0] === versions[1] ? versions[0] : undefined;
}

export function slotsOf(stateDir: string, { slot, trial }: BoardBoot, blobs: BlobStore): SystemSlots {
  const commandLine = `quiet wherry.slot=${slot}${trial === undefined ? '' : ` wherry.trial=${trial}`}`;
  const guardFile = join(stateDir, 'system-trial');
  const slots = openSlots({ commandLine, disk: boardDisk(stateDir), guardFile }, blobs);
  if (slots === undefined) throw new Error('The board has no slots');
  return slots;
}

const readEnvironment = (stateDir: string, sector: number): Record<string, string> =>
  decodeEnvironment(readAt(stateDir, sector, SECTOR)) ?? {};

function readAt(stateDir: string, sector: number, bytes: number): Buffer {
  const disk = openSync(boardDisk(stateDir), 'r');
  const content = Buffer.alloc(bytes);
  readSync(disk, content, 0, bytes, sector * SECTOR);
  closeSync(disk);
  return content;
}

function writeTried(stateDir: string, token: string): void {
  const disk = openSync(boardDisk(stateDir), 'r+');
  writeSync(disk, encodeEnvironment({ tried: token }, SECTOR), 0, SECTOR, TRIES_SECTOR * SECTOR);
  fsyncSync(disk);
  closeSync(disk);
}
