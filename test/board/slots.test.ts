import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type BuiltBoard, buildBoard } from '../../boards/builder/build-board.ts';
import { EmulatedBoard } from '../../boards/emulator/emulated-board.ts';
import { putFiles } from '../../boards/fat.ts';
import {
  CHOICE_SECTOR,
  PARTITIONS,
  SECTOR,
  type Slot,
  slotPartitions,
  TRIES_SECTOR,
} from '../../boards/layout.ts';
import { decodeEnvironment, encodeEnvironment } from '../../boards/uboot/environment.ts';
import { until } from '../support/until.ts';

/** How slots fall back on a whole board, with slots made bad by hand: U-Boot, initramfs, watchdog and trial guard. */
const MIB = 1024 ** 2;
const HANGS = '#!/bin/sh\nwhile :; do /bin/sleep 60; done\n';
/** A board on a busy machine needs half a minute for a boot; a hang is ended after one of the watchdog. */
const BOOTS_MS = 400_000;

let dir: string;
let built: BuiltBoard;
let board: EmulatedBoard;
let began = 0;

const consoleSince = async (): Promise<string> => (await board.console()).slice(began);
const inBoard = async (command: string): Promise<string> => {
  const { exitCode, output } = await board.run(command);
  if (exitCode !== 0) throw new Error(`In the board "${command}" ended with ${exitCode}: ${output}`);
  return output.trim();
};
const slot = (): Promise<string> => inBoard("tr ' ' '\\n' < /proc/cmdline | sed -n 's/^wherry.slot=//p'");
const told = (): Promise<string> => inBoard('cat /var/lib/wherry/system-trial 2>/dev/null || echo nothing');

/** Writes to the disk of a board that is off. */
function write(bytes: Buffer, at: number): void {
  const file = join(dir, 'piece');
  writeFileSync(file, bytes);
  writeFile(file, at, bytes.length);
}
const writeFile = (file: string, at: number, size: number): unknown =>
  execFileSync('qemu-io', ['-f', 'qcow2', '-c', `write -s ${file} ${at} ${size}`, board.disk]);
const choose = (choice: { active: Slot; trial?: Slot; token?: string }): void =>
  write(encodeEnvironment({ trial: '', token: '', ...choice }, SECTOR), CHOICE_SECTOR * SECTOR);

/** Fills slot b: what slot a has, but for these files of its boot partition, or with this root. */
async function fillOther(files: Record<string, Buffer>, root = built.root): Promise<void> {
  const boot = join(dir, 'boot.img');
  copyFileSync(built.boot, boot);
  await putFiles(boot, files);
  const places = slotPartitions('b');
  for (const [file, { start }] of [
    [boot, places.boot],
    [root, places.system],
  ] as const)
    execFileSync('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', file, target(start)]);
}
const target = (start: number): string =>
  `json:${JSON.stringify({ driver: 'raw', offset: start * SECTOR, file: { driver: 'qcow2', file: { driver: 'file', filename: board.disk } } })}`;

const environment = (...words: string[]): Buffer =>
  Buffer.from(`cmdline=${[...built.config.kernel.commandLine, ...words].join(' ')}\n`);

/** A root filesystem that the kernel and the initramfs take, and whose process 1 never feeds the watchdog. */
function hangingRoot(): string {
  const root = join(dir, 'hanging');
  for (const folder of ['bin', 'sbin', 'proc', 'sys', 'dev', 'var', 'etc/wherry', 'usr/lib/wherry', 'mnt'])
    mkdirSync(join(root, folder), { recursive: true });
  copyFileSync(join(built.packages, 'usr/bin/busybox'), join(root, 'bin/busybox'));
  for (const name of ['sh', 'sleep']) symlinkSync('busybox', join(root, 'bin', name));
  for (const path of ['sbin/init', 'usr/lib/wherry/trial-guard']) {
    writeFileSync(join(root, path), HANGS);
    chmodSync(join(root, path), 0o755);
  }
  const image = join(dir, 'hanging.erofs');
  execFileSync('mkfs.erofs', ['--quiet', '--all-root', image, root]);
  return image;
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'wherry-slots-'));
  built = await buildBoard({ board: 'qemu-virt', variant: 'development' });
  board = await EmulatedBoard.create({ built, dir, spareMib: 256, memoryMib: 512, cpus: 2 });
}, 400_000);
afterAll(async () => {
  await board?.cutPower();
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(async () => {
  await board.cutPower();
  began = 0;
});

const boot = (...extra: string[]): Promise<void> => board.boot({ extra, timeoutMs: BOOTS_MS });

describe('the slots of a board', () => {
  test('the first boot is of slot a, grows the data over the medium, and starts the watchdog', async () => {
    await boot();
    expect(await slot()).toBe('a');
    const grown = PARTITIONS.data.sectors + 256 * 2048;
    expect(await inBoard('cat /sys/class/block/vda7/size')).toBe(String(grown));
    await until(async () => Number(await inBoard('stat -f -c %b /var')) * 4096 > 280 * MIB, {
      timeoutMs: 60_000,
      what: 'the filesystem to grow',
    });
    expect(await inBoard('cat /sys/class/watchdog/watchdog0/state')).toBe('active');
    expect(await inBoard('findmnt -n -o FSTYPE,OPTIONS /')).toMatch(/^erofs +ro/);
  }, 500_000);

  test('a trial is booted once: what nobody commits is gone back from, by the guard', async () => {
    await fillOther({});
    choose({ active: 'a', trial: 'b', token: 't1' });
    await boot('wherry.trial-seconds=100');
    expect(await slot()).toBe('b');
    expect(await inBoard("grep -o 'wherry.trial=.*' /proc/cmdline")).toContain('wherry.trial=t1');
    const trial = board.bootId ?? '';
    await board.rebooted(trial, BOOTS_MS);
    expect(await slot()).toBe('a');
    expect(await told()).toBe('t1 not-committed');
  }, 900_000);

  test('a trial that is committed stays, also over the next boot', async () => {
    choose({ active: 'a', trial: 'b', token: 't2' });
    await boot('wherry.trial-seconds=100');
    expect(await slot()).toBe('b');
    const block = encodeEnvironment({ active: 'b', trial: '', token: '' }, SECTOR).toString('base64');
    await inBoard(
      `echo ${block} | base64 -d | dd of=/dev/wherry/disk bs=512 seek=${CHOICE_SECTOR} conv=notrunc,fsync`,
    );
    const before = board.bootId;
    await until(async () => (await inBoard('pgrep -f trial-guard || :')) === '', {
      timeoutMs: 150_000,
      what: 'the guard to be content',
    });
    expect(board.bootId).toBe(before);
    expect(await told()).toBe('t2 booted');
    await board.cutPower();
    await boot();
    expect(await slot()).toBe('b');
  }, 900_000);

  test('a kernel that panics falls back by itself', async () => {
    await fillOther({ 'boot.env': environment('rdinit=/absent', 'init=/absent', 'panic=0') });
    choose({ active: 'a', trial: 'b', token: 't3' });
    await boot();
    expect(await slot()).toBe('a');
    expect(await consoleSince()).toMatch(/Trial boot of slot b[\s\S]*Kernel panic[\s\S]*Booting slot a/);
    expect(await told()).not.toContain('t3');
  }, 900_000);

  test('an init that hangs is ended by the watchdog, which nobody feeds', async () => {
    await fillOther({}, hangingRoot());
    choose({ active: 'a', trial: 'b', token: 't4' });
    await boot();
    expect(await slot()).toBe('a');
    expect(await consoleSince()).toMatch(/Trial boot of slot b[\s\S]*Starting kernel[\s\S]*Booting slot a/);
  }, 900_000);

  test('a system without a root that can be mounted falls back', async () => {
    const broken = join(dir, 'broken.erofs');
    writeFileSync(broken, Buffer.alloc(MIB));
    await fillOther({}, broken);
    choose({ active: 'a', trial: 'b', token: 't5' });
    await boot();
    expect(await slot()).toBe('a');
    expect(await consoleSince()).toContain('Cannot boot: /dev/wherry/system-b cannot be mounted');
  }, 900_000);

  test('an active slot without a kernel is stood in for by the other', async () => {
    write(Buffer.alloc(MIB), PARTITIONS['boot-b'].start * SECTOR);
    choose({ active: 'b' });
    await boot();
    expect(await slot()).toBe('a');
    expect(await consoleSince()).toContain('Booting slot a: the active one does not load');
  }, 900_000);

  test('a data partition without its first superblock is mended on the way', async () => {
    write(Buffer.alloc(4096), PARTITIONS.data.start * SECTOR);
    await boot();
    expect(await consoleSince()).toContain('repairing /dev/vda7');
    expect(await inBoard('findmnt -n -o SOURCE,FSTYPE /var')).toMatch(/vda7 +ext4/);
  }, 900_000);

  test('a choice that is half written is none: slot a boots, whatever trial it named', async () => {
    const torn = encodeEnvironment({ active: 'b', trial: 'b', token: 't6' }, SECTOR);
    torn.fill(0, 20);
    write(torn, CHOICE_SECTOR * SECTOR);
    write(Buffer.alloc(SECTOR, 255), TRIES_SECTOR * SECTOR);
    await boot();
    expect(await slot()).toBe('a');
    const tries = await inBoard(
      `dd if=/dev/wherry/disk bs=512 skip=${TRIES_SECTOR} count=1 2>/dev/null | base64 -w 0`,
    );
    expect(decodeEnvironment(Buffer.from(tries, 'base64'))).toBeUndefined();
  }, 900_000);
});
