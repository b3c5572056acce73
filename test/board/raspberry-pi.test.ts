import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
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
  let drivers: DriverIndex;
  let root: string;
  const inFirmware = (path: string) => readFatFile(built.disk, path, PARTITIONS.firmware.start * SECTOR);
  const inSlot = (path: string) => readFatFile(built.disk, path, PARTITIONS['boot-a'].start * SECTOR);
  const treeOf = async (file: string): Promise<TreeNode> =>
    parseTree((await inFirmware(file)) ?? Buffer.alloc(4));
  const textOf = (path: string): string => readFileSync(join(root, path), 'utf8');
  const absent = (paths: string[]): string[] => paths.filter((path) => !existsSync(join(root, path)));
  const withLoadOrder = (entries: readonly string[]): Set<string> => {
    const names = entries.map((entry) => entry.split(' ')[0] ?? '');
    return new Set(loadOrder(drivers.dependencies, names).map(moduleName));
  };

  beforeAll(async () => {
    built = await buildBoard({ board });
    drivers = await DriverIndex.of(built);
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
    const read = partitiontable.partitions.map(({ start, size, type }: Record<string, unknown>) => [
      start,
      size,
      type,
    ]);
    const wanted = Object.values(PARTITIONS);
    expect(partitiontable.label).toBe('dos');
    expect(read).toEqual(wanted.map(({ start, sectors, type }) => [start, sectors, type.toString(16)]));
  });

  test('has on its first partition what the board looks for, and nothing else', async () => {
    const offset = `${built.disk}@@${PARTITIONS.firmware.start * SECTOR}`;
    const { stdout } = await execute('mdir', ['-b', '-/', '-i', offset, '::/']);
    const names = stdout.split('\n').filter(Boolean);
    const ours = ['boot.scr', 'config.txt', 'u-boot.bin', 'uboot.env'];
    const wanted = [...ours, ...firmware, ...Object.keys(models)].map((name) => `::/${name}`);
    expect(names.sort()).toEqual(wanted.sort());
    const settings = String(await inFirmware('config.txt')).split('\n');
    expect(settings).toEqual(
      expect.arrayContaining(['arm_64bit=1', 'kernel=u-boot.bin', 'enable_uart=1', 'upstream_kernel=1']),
    );
  });

  test('no key on the serial line stops U-Boot', async () => {
    const environment = decodeEnvironment((await inFirmware('uboot.env')) ?? Buffer.alloc(0));
    expect(environment).toMatchObject({ bootdelay: '-2', bootcmd: expect.stringContaining('mmc 0:1') });
  });

  test('has a whole system in slot a, chosen, and its command line', async () => {
    const disk = await open(built.disk);
    const choice = Buffer.alloc(SECTOR);
    await disk.read(choice, 0, SECTOR, CHOICE_SECTOR * SECTOR).finally(() => disk.close());
    expect(decodeEnvironment(choice)).toMatchObject({ active: 'a', trial: '', token: '' });
    const commandLine = String(await inSlot('boot.env'))
      .trim()
      .replace('cmdline=', '')
      .split(' ');
    expect(commandLine).toEqual(
      expect.arrayContaining(['cgroup_enable=memory', 'cgroup_memory=1', 'panic=5', `console=${console}`]),
    );
    // Documentation/arch/arm64/booting.rst: the magic of an image.
    expect((await inSlot('Image'))?.toString('latin1', 56, 60)).toBe('ARMd');
    expect((await inSlot('initramfs'))?.length).toBeGreaterThan(1_000_000);
  });

  test.each(
    Object.entries(models),
  )('%s is a tree of %s, the same before the slot and in it', async (file, model) => {
    const before = (await inFirmware(file)) ?? Buffer.alloc(4);
    expect(wordsOf(parseTree(before), 'compatible')).toContain(model);
    const own = await inSlot(`broadcom/${file}`);
    expect(own?.equals(before)).toBe(slotTrees ? true : undefined);
  });

  test.each(Object.keys(models))('%s: reaches its card with what the initramfs loads', async (file) => {
    const tree = await treeOf(file);
    const early = withLoadOrder(built.config.kernel.early);
    const [host, ...others] = enabled(tree, card).filter((node) => !node.path.includes('mmc@1100000'));
    if (host === undefined) throw new Error(`${file} has no enabled ${card}`);
    expect(others).toEqual([]);
    expect(drivers.missing(withProviders(tree, host), early)).toEqual([]);
    expect(drivers.modulesOf(host).filter((name) => early.has(name))).toHaveLength(1);
  });

  test.each(Object.keys(models))('%s: has a driver, loaded, for each device that counts', async (file) => {
    const tree = await treeOf(file);
    const { early, load = [] } = built.config.kernel;
    const loaded = withLoadOrder([...early, ...load]);
    const found = devices.map((name) => ({ name, nodes: enabled(tree, name) }));
    expect(found.filter(({ nodes }) => nodes.length === 0)).toEqual([]);
    const needed = found.flatMap(({ nodes }) => nodes).flatMap((node) => withProviders(tree, node));
    expect(drivers.missing(needed, loaded)).toEqual([]);
  });

  test('lists what the system loads, and has the firmware of its radio', () => {
    const listed = textOf('etc/modules-load.d/board.conf').trim().split('\n');
    expect(listed).toEqual(built.config.kernel.load);
    expect(listed).toContain('brcmfmac');
    // existsSync goes through links: what they lead to has been kept as well.
    const files = [`brcm/${radio}`, 'regulatory.db', 'regulatory.db.p7s'].map(
      (name) => `usr/lib/firmware/${name}`,
    );
    const settings = Object.values(models).map((model) => {
      const chip = radios(root).find((name) => name.endsWith(`.${model}.txt`));
      return `usr/lib/firmware/brcm/${chip ?? model}`;
    });
    expect(absent([...files, ...settings, 'usr/sbin/wpa_supplicant'])).toEqual([]);
  });

  test('carries no secret, no password and no way in', () => {
    const passwords = textOf('etc/shadow')
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split(':')[1]);
    expect(passwords.filter((password) => password === '' || password?.startsWith('$'))).toEqual([]);
    expect(textOf('etc/machine-id').trim()).toBe('');
    const waysIn = [
      'usr/sbin/sshd',
      'usr/sbin/dropbear',
      'usr/lib/wherry/board-control',
      'etc/wherry/agent.json',
    ];
    expect(absent(waysIn)).toEqual(waysIn);
    expect([...readdirSync(join(root, 'etc/wherry')), ...readdirSync(join(root, 'root'))]).toEqual([]);
    const units = readdirSync(join(root, 'etc/systemd/system/multi-user.target.wants'));
    expect(units.filter((name) => /shell|getty|ssh/.test(name))).toEqual([]);
  });

  test("sets systemd's watchdog to what the hardware can count", () => {
    const folder = 'etc/systemd/system.conf.d';
    // systemd takes them in order of name.
    const settings = readdirSync(join(root, folder))
      .sort()
      .map((name) => textOf(`${folder}/${name}`));
    const values = [...settings.join('\n').matchAll(/^RuntimeWatchdogSec=(.*)$/gm)].map(([, value]) => value);
    expect(values.at(-1)).toBe('15s');
  });
});

const radios = (root: string): string[] => readdirSync(join(root, 'usr/lib/firmware/brcm'));
const enabled = (tree: TreeNode, compatible: string): TreeNode[] =>
  allNodes(tree).filter((node) => isEnabled(node) && wordsOf(node, 'compatible').includes(compatible));
