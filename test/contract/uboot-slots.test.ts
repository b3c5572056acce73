import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSlots } from '../../agent/system-slots/open-slots.ts';
import type { SystemImage } from '../../agent/system-slots/system-image.ts';
import type { SystemSlots } from '../../agent/update/ports.ts';
import { CHOICE_SECTOR, DISK_SECTORS, PARTITIONS, SECTOR, TRIES_SECTOR } from '../../boards/layout.ts';
import { decodeEnvironment, encodeEnvironment } from '../../boards/uboot/environment.ts';
import { verityOf } from '../../protocol/fsverity.ts';

let folder: string;
let disk: string;
const loops: string[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wherry-slots-'));
  disk = join(folder, 'disk.img');
  writeFileSync(disk, '');
  truncateSync(disk, DISK_SECTORS * SECTOR);
});
afterEach(async () => {
  for (const loop of loops.splice(0)) execFileSync('losetup', ['-d', loop]);
  await rm(folder, { recursive: true, force: true });
});

const loop = (): string => {
  const device = execFileSync('losetup', ['--find', '--show', disk], { encoding: 'utf8' }).trim();
  loops.push(device);
  return device;
};

const open = (commandLine = 'quiet wherry.slot=a', path = disk): SystemSlots => {
  const paths = { commandLine, disk: path, guardFile: join(folder, 'system-trial') };
  const slots = openSlots(paths, { pathOf: (verity) => join(folder, verity) });
  if (slots === undefined) throw new Error('there are no slots');
  return slots;
};

async function blob(bytes: number) {
  const content = randomBytes(bytes);
  const { digest } = await verityOf(
    (async function* () {
      yield content;
    })(),
  );
  writeFileSync(join(folder, digest), content);
  return { verity: digest, size: bytes, content };
}

async function system(version: string) {
  const [boot, root] = [await blob(1_500_160), await blob(5_242_880)];
  const image: SystemImage = { id: version, version, boot, root };
  return { image, boot: boot.content, root: root.content };
}

function put(sector: number, content: Buffer): void {
  const file = openSync(disk, 'r+');
  writeSync(file, content, 0, content.length, sector * SECTOR);
  closeSync(file);
}

function get(start: number, bytes: number): Buffer {
  const content = Buffer.alloc(bytes);
  const file = openSync(disk, 'r');
  readSync(file, content, 0, bytes, start * SECTOR);
  closeSync(file);
  return content;
}

/** As the boot script does. */
const tried = (token: string): void => put(TRIES_SECTOR, encodeEnvironment({ tried: token }, SECTOR));
const choice = () => decodeEnvironment(get(CHOICE_SECTOR, SECTOR));

describe.for(['a file', 'a loop device'])('on %s', (kind) => {
  const path = () => (kind === 'a file' ? disk : loop());

  test('a system is in its slot as it was signed, and the other slot is untouched', async () => {
    const { image, boot, root } = await system('2.0');
    const slots = open('wherry.slot=a', path());
    expect(await slots.holds('b', image)).toBe(false);
    expect(await slots.write('b', image)).toEqual({ ok: true });
    expect(await slots.holds('b', image)).toBe(true);
    expect(await slots.holds('a', image)).toBe(false);
    execFileSync('sync');
    expect(get(PARTITIONS['boot-b'].start, boot.length).equals(boot)).toBe(true);
    expect(get(PARTITIONS['system-b'].start, root.length).equals(root)).toBe(true);
    for (const name of ['boot-a', 'system-a'] as const)
      expect(get(PARTITIONS[name].start, 1024 ** 2).every((byte) => byte === 0)).toBe(true);
    expect(choice()).toBeUndefined();
  });

  test('the booted slot is read part by part', async () => {
    const { image, boot, root } = await system('2.0');
    await open('wherry.slot=a', path()).write('b', image);
    const slots = open('wherry.slot=b', path());
    const [first, second] = [Buffer.alloc(1_000), Buffer.alloc(1_000)];
    await slots.read('boot', 5_000, first);
    await slots.read('root', 70_000, second);
    expect(first.equals(boot.subarray(5_000, 6_000))).toBe(true);
    expect(second.equals(root.subarray(70_000, 71_000))).toBe(true);
  });

  test('a trial and the choice are one sector each time, and the script’s sector is its own', async () => {
    const slots = open('wherry.slot=a', path());
    tried('before');
    await slots.tryOnce({ slot: 'b', token: 'abc', seconds: 900 });
    execFileSync('sync');
    expect(choice()).toEqual({ active: 'a', trial: 'b', token: 'abc', seconds: '900' });
    await slots.choose('b');
    execFileSync('sync');
    expect(choice()).toEqual({ active: 'b', trial: '', token: '' });
    expect(decodeEnvironment(get(TRIES_SECTOR, SECTOR))).toEqual({ tried: 'before' });
    expect(get(CHOICE_SECTOR - 1, SECTOR).every((byte) => byte === 0)).toBe(true);
  });
});

test('what the bootloader did is told after the next start', async () => {
  await open().tryOnce({ slot: 'b', token: 'abc', seconds: 900 });
  const trial = { slot: 'b', token: 'abc' };
  expect(open().status()).toEqual({ booted: 'a', active: 'a', trial: { ...trial, wasTried: false } });
  tried('abc');
  const inIt = open('wherry.slot=b wherry.trial=abc').status();
  expect(inIt).toEqual({ booted: 'b', active: 'a', trialBoot: 'abc', trial: { ...trial, wasTried: true } });
  writeFileSync(join(folder, 'system-trial'), 'abc not-committed\n');
  expect(open().status().trial).toEqual({ ...trial, wasTried: true, cameTo: 'not-committed' });
  writeFileSync(join(folder, 'system-trial'), 'of-another booted\n');
  expect(open().status().trial).toEqual({ ...trial, wasTried: true });
  await open().choose('a');
  expect(open().status()).toEqual({ booted: 'a', active: 'a' });
});

test('a device that was not booted from a slot has none', () => {
  const paths = { disk, guardFile: join(folder, 'system-trial') };
  for (const commandLine of ['quiet', 'wherry.slot=', 'wherry.slot=c', 'xwherry.slot=a'])
    expect(openSlots({ ...paths, commandLine }, { pathOf: String })).toBeUndefined();
});

test('the slot that runs is never written to', async () => {
  const { image } = await system('2.0');
  await expect(open('wherry.slot=b').write('b', image)).rejects.toThrow('it is the one that runs');
});

test('a blob that is not what was signed, or is too large for a slot, is refused', async () => {
  const { image } = await system('2.0');
  const path = join(folder, image.root.verity);
  const content = readFileSync(path);
  content.writeUInt8(content.readUInt8(4_000_000) ^ 1, 4_000_000);
  writeFileSync(path, content);
  const refused = { ok: false, code: 'refused.system' };
  expect(await open().write('b', image)).toMatchObject({
    ...refused,
    message: expect.stringContaining('the root filesystem of slot b does not read back'),
  });
  const large = { ...image, boot: { ...image.boot, size: PARTITIONS['boot-b'].sectors * SECTOR + SECTOR } };
  expect(await open().write('b', large)).toMatchObject({
    ...refused,
    message: expect.stringContaining('larger'),
  });
});

test('a slot that rotted since is not taken for what it was', async () => {
  const { image } = await system('2.0');
  const slots = open();
  await slots.write('b', image);
  put(PARTITIONS['system-b'].start + 9_000, Buffer.alloc(1, 1));
  expect(await slots.holds('b', image)).toBe(false);
  expect(await slots.write('b', image)).toEqual({ ok: true });
  expect(await slots.holds('b', image)).toBe(true);
});

/** Sectors that were written to the first loop device. */
const written = (): number =>
  Number(
    readFileSync(`/sys/block/${loops[0]?.split('/').at(-1)}/stat`, 'utf8')
      .trim()
      .split(/\s+/)[6],
  );

test('a system that is in place is not written again', async () => {
  const { image } = await system('2.0');
  const slots = open('wherry.slot=a', loop());
  await slots.write('b', image);
  const before = written();
  expect(before).toBeGreaterThan(0);
  await slots.write('b', image);
  expect(written()).toBe(before);
});

test('a disk that is gone is an error, and no choice', async () => {
  const slots = open('wherry.slot=a', join(folder, 'gone'));
  expect(slots.status()).toEqual({ booted: 'a', active: 'a' });
  await expect(slots.choose('b')).rejects.toThrow('ENOENT');
  const { image } = await system('2.0');
  await expect(slots.write('b', image)).rejects.toThrow('ENOENT');
});

const env = (variables: Record<string, string>) => encodeEnvironment(variables, SECTOR);

describe('hostile sectors', () => {
  test('whatever stands there, the slots are a or b, and a trial has a token', () => {
    const spoiled = env({ active: 'b' });
    spoiled.writeUInt8(spoiled.readUInt8(9) ^ 1, 9);
    const cases: [Buffer, object][] = [
      [randomBytes(SECTOR), { active: 'a' }],
      [Buffer.alloc(SECTOR, 0xff), { active: 'a' }],
      [spoiled, { active: 'a' }],
      [
        env({ active: 'c', trial: 'b', token: 'x' }),
        { active: 'a', trial: { slot: 'b', token: 'x', wasTried: false } },
      ],
      [env({ active: 'b', trial: '../b', token: 'x' }), { active: 'b' }],
      [env({ active: 'b', trial: 'a', token: '' }), { active: 'b' }],
      [env({ active: 'b', trial: 'a', token: 'x;reboot' }), { active: 'b' }],
      [env({ active: 'b', trial: 'a', token: 'x'.repeat(33) }), { active: 'b' }],
      [env({ __proto__: 'b', constructor: 'b' }), { active: 'a' }],
    ];
    for (const [sector, seen] of cases) {
      put(CHOICE_SECTOR, sector);
      expect(open().status()).toEqual({ booted: 'a', ...seen });
    }
  });
});
