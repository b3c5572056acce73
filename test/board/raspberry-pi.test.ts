import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BuiltBoard, buildBoard } from '../../boards/builder/build-board.ts';
import { loadOrder, moduleName } from '../../boards/builder/kernel-modules.ts';
import { readFatFile } from '../../boards/fat.ts';
import { CHOICE_SECTOR, PARTITIONS, SECTOR } from '../../boards/layout.ts';
import { decodeEnvironment } from '../../boards/uboot/environment.ts';
import {
  allNodes,
  isEnabled,
  parseTree,
  type TreeNode,
  withProviders,
  wordsOf,
} from '../support/device-tree.ts';
import { DriverIndex } from '../support/driver-index.ts';

const execute = promisify(execFile);

interface Expected {
  /** What the board's first stages want to find. */
  firmware: string[];
  /** Its models by their device tree's file, as the firmware asks for it, and what the tree calls itself. */
  models: Record<string, string>;
  /** Where a boot slot has trees; without: the firmware's is handed on. */
  slotTrees: boolean;
  /** The controller of the SD card. */
  card: string;
  /** Devices that a headless board is of no use without. */
  devices: string[];
  radio: string;
  console: string;
}
const PI_3 = ['bootcode.bin', 'start_cd.elf', 'fixup_cd.dat'];
const BOARDS: Record<string, Expected> = {
  'raspberry-pi-3': {
    firmware: PI_3,
    models: {
      'bcm2837-rpi-3-a-plus.dtb': 'raspberrypi,3-model-a-plus',
      'bcm2837-rpi-3-b.dtb': 'raspberrypi,3-model-b',
      'bcm2837-rpi-3-b-plus.dtb': 'raspberrypi,3-model-b-plus',
    },
    slotTrees: true,
    card: 'brcm,bcm2835-sdhost',
    devices: ['brcm,bcm2835-usb', 'brcm,bcm2835-sdhci', 'brcm,bcm2835-pm-wdt', 'brcm,bcm2837-thermal'],
    radio: 'brcmfmac43430-sdio.bin',
    console: 'ttyS1,115200',
  },
  'raspberry-pi-zero-2-w': {
    firmware: PI_3,
    models: { 'bcm2837-rpi-zero-2-w.dtb': 'raspberrypi,model-zero-2-w' },
    slotTrees: true,
    card: 'brcm,bcm2835-sdhost',
    devices: ['brcm,bcm2835-sdhci', 'brcm,bcm2835-pm-wdt', 'brcm,bcm2837-thermal'],
    radio: 'brcmfmac43430-sdio.bin',
    console: 'ttyS1,115200',
  },
  'raspberry-pi-4': {
    firmware: ['start4cd.elf', 'fixup4cd.dat'],
    models: { 'bcm2711-rpi-4-b.dtb': 'raspberrypi,4-model-b' },
    slotTrees: true,
    card: 'brcm,bcm2711-emmc2',
    devices: [
      'brcm,bcm2711-genet-v5',
      'brcm,genet-mdio-v5',
      'brcm,bcm2711-pcie',
      'brcm,bcm2835-sdhci',
      'brcm,bcm2835-pm-wdt',
      'brcm,bcm2711-thermal',
    ],
    radio: 'brcmfmac43455-sdio.bin',
    console: 'ttyS1,115200',
  },
  'raspberry-pi-5': {
    firmware: [],
    models: {
      'bcm2712-rpi-5-b.dtb': 'raspberrypi,5-model-b',
      'bcm2712d0-rpi-5-b.dtb': 'raspberrypi,5-model-b',
    },
    slotTrees: false,
    card: 'brcm,bcm2712-sdhci',
    devices: [
      'raspberrypi,rp1-gem',
      'snps,dwc3',
      'brcm,bcm2712-pcie',
      'brcm,bcm2835-pm-wdt',
      'brcm,bcm2711-rng200',
    ],
    radio: 'brcmfmac43455-sdio.bin',
    console: 'ttyAMA10,115200',
  },
};

describe.each(Object.entries(BOARDS))('the image of a %s', (board, expected) => {
  const { firmware, models, slotTrees, card, devices, radio, console } = expected;
  let built: BuiltBoard;
  let root: string;
  const inFirmware = (path: string) => readFatFile(built.disk, path, PARTITIONS.firmware.start * SECTOR);
  const inSlot = (path: string) => readFatFile(built.disk, path, PARTITIONS['boot-a'].start * SECTOR);
  const treeOf = async (file: string): Promise<TreeNode> =>
    parseTree((await inFirmware(file)) ?? Buffer.alloc(4));

  beforeAll(async () => {
    built = await buildBoard({ board });
    root = await mkdtemp(join(tmpdir(), `wherry-${board}-`));
    await execute('mount', ['-t', 'erofs', '-o', 'loop,ro', built.root, root]);
  });
  afterAll(async () => {
    await execute('umount', [root]).catch(() => undefined);
    await rm(root, { recursive: true, force: true });
  });

  test('has the partitions that another program reads out of its table', async () => {
    const { stdout } = await execute('sfdisk', ['--json', built.disk]);
    const { partitiontable } = JSON.parse(stdout);
    expect(partitiontable.label).toBe('dos');
    const read = partitiontable.partitions.map(({ start, size, type }: Record<string, unknown>) => [
      start,
      size,
      type,
    ]);
    expect(read).toEqual(
      Object.values(PARTITIONS).map(({ start, sectors, type }) => [start, sectors, type.toString(16)]),
    );
  });

  test('has on its first partition what the board looks for, and nothing else', async () => {
    const offset = `${built.disk}@@${PARTITIONS.firmware.start * SECTOR}`;
    const { stdout } = await execute('mdir', ['-b', '-/', '-i', offset, '::/']);
    const names = stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.replace('::/', ''));
    const ours = ['boot.scr', 'config.txt', 'u-boot.bin', 'uboot.env'];
    expect(names.sort()).toEqual([...ours, ...firmware, ...Object.keys(models)].sort());
    const settings = String(await inFirmware('config.txt'))
      .split('\n')
      .filter((line) => /^[^#]/.test(line));
    expect(settings).toEqual(expect.arrayContaining(['arm_64bit=1', 'kernel=u-boot.bin', 'enable_uart=1']));
    const environment = decodeEnvironment((await inFirmware('uboot.env')) ?? Buffer.alloc(0));
    // No key on the serial line or a keyboard stops the boot.
    expect(environment).toMatchObject({ bootdelay: '-2', bootcmd: expect.stringContaining('mmc 0:1') });
    for (const [file, model] of Object.entries(models))
      expect(wordsOf(await treeOf(file), 'compatible')).toContain(model);
  });

  test('has a whole system in slot a, chosen, and its command line', async () => {
    const sector = (await readFile(built.disk)).subarray(
      CHOICE_SECTOR * SECTOR,
      (CHOICE_SECTOR + 1) * SECTOR,
    );
    expect(decodeEnvironment(sector)).toEqual({ active: 'a', trial: '', token: '' });
    const commandLine = String(await inSlot('boot.env'))
      .trim()
      .replace('cmdline=', '')
      .split(' ');
    expect(commandLine).toEqual(
      expect.arrayContaining(['cgroup_enable=memory', 'cgroup_memory=1', 'panic=5', `console=${console}`]),
    );
    // "ARM\x64", Documentation/arch/arm64/booting.rst
    expect((await inSlot('Image'))?.toString('latin1', 56, 60)).toBe('ARMd');
    expect((await inSlot('initramfs'))?.length).toBeGreaterThan(1_000_000);
    for (const file of Object.keys(models)) {
      const tree = await inSlot(`broadcom/${file}`);
      if (slotTrees) expect(tree?.equals((await inFirmware(file)) ?? Buffer.alloc(0))).toBe(true);
      else expect(tree).toBeUndefined();
    }
    expect(
      await readFatFile(built.disk, 'Image', PARTITIONS['boot-b'].start * SECTOR).catch(() => undefined),
    ).toBe(undefined);
  });

  test.each(Object.keys(models))('%s: reaches its card with what the initramfs loads', async (file) => {
    const drivers = await DriverIndex.of(built);
    const tree = await treeOf(file);
    const host = allNodes(tree).find((node) => isEnabled(node) && wordsOf(node, 'compatible').includes(card));
    if (host === undefined) throw new Error(`${file} has no enabled ${card}`);
    const early = new Set(
      loadOrder(
        drivers.dependencies,
        built.config.kernel.early.map((entry) => entry.split(' ')[0] ?? ''),
      ).map(moduleName),
    );
    expect(drivers.missing(withProviders(tree, host), early)).toEqual([]);
    expect(drivers.modulesOf(host).some((name) => early.has(name))).toBe(true);
  });

  test.each(Object.keys(models))('%s: has a driver, loaded, for each device that counts', async (file) => {
    const drivers = await DriverIndex.of(built);
    const tree = await treeOf(file);
    const { early, load = [] } = built.config.kernel;
    const names = [...early, ...load].map((entry) => entry.split(' ')[0] ?? '');
    const loaded = new Set(loadOrder(drivers.dependencies, names).map(moduleName));
    for (const name of devices) {
      const nodes = allNodes(tree).filter(
        (node) => isEnabled(node) && wordsOf(node, 'compatible').includes(name),
      );
      expect(nodes.length, name).toBeGreaterThan(0);
      for (const node of nodes) expect(drivers.missing(withProviders(tree, node), loaded), name).toEqual([]);
    }
  });

  test('lists what the system loads, and has the firmware of its radio', () => {
    const listed = readFileSync(join(root, 'etc/modules-load.d/board.conf'), 'utf8').trim().split('\n');
    expect(listed).toEqual(built.config.kernel.load);
    expect(listed).toContain('brcmfmac');
    const folder = join(root, 'usr/lib/firmware');
    // Through their links: what they lead to has been kept as well.
    for (const name of [`brcm/${radio}`, 'regulatory.db', 'regulatory.db.p7s'])
      expect(existsSync(join(folder, name)), name).toBe(true);
    for (const model of Object.values(models)) {
      const settings = readdirSync(join(folder, 'brcm')).filter((name) => name.endsWith(`.${model}.txt`));
      expect(settings.length, model).toBe(1);
      expect(existsSync(join(folder, 'brcm', settings[0] ?? '')), model).toBe(true);
    }
  });

  test('carries no secret, no password and no way in', () => {
    const text = (path: string) => readFileSync(join(root, path), 'utf8');
    expect(
      text('etc/shadow')
        .split('\n')
        .filter(Boolean)
        .map((line) => line.split(':')[1]),
    ).toEqual(expect.not.arrayContaining([expect.stringMatching(/^($|\$)/)]));
    expect(text('etc/machine-id').trim()).toBe('');
    for (const path of [
      'usr/sbin/sshd',
      'usr/sbin/dropbear',
      'usr/lib/wherry/board-control',
      'etc/wherry/agent.json',
    ])
      expect(existsSync(join(root, path)), path).toBe(false);
    expect(readdirSync(join(root, 'etc/wherry'))).toEqual([]);
    expect(readdirSync(join(root, 'root'))).toEqual([]);
    const units = readdirSync(join(root, 'etc/systemd/system/multi-user.target.wants'));
    expect(units.filter((name) => /shell|getty|ssh/.test(name))).toEqual([]);
  });

  test("sets systemd's watchdog to what the hardware can count", () => {
    const folder = join(root, 'etc/systemd/system.conf.d');
    // systemd takes them in order of name.
    const settings = readdirSync(folder)
      .sort()
      .map((name) => readFileSync(join(folder, name), 'utf8'))
      .join('\n');
    expect([...settings.matchAll(/^RuntimeWatchdogSec=(.*)$/gm)].at(-1)?.[1]).toBe('15s');
  });
});
