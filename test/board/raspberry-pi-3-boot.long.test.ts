import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, truncate } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type BuiltBoard, buildBoard } from '../../boards/builder/build-board.ts';
import { putFiles, readFatFile } from '../../boards/fat.ts';
import { PARTITIONS, SECTOR } from '../../boards/layout.ts';
import { decodeEnvironment, encodeEnvironment } from '../../boards/uboot/environment.ts';
import { until } from '../support/until.ts';

const execute = promisify(execFile);
const QEMU = 'qemu-system-aarch64';
const GIB = 1024 ** 3;
/** QEMU reads 36 MiB of kernel at less than a MiB/s on a busy machine. */
const BOOT_MS = 900_000;
/** QEMU takes the start of this watchdog for a reset, so the tree that U-Boot is handed has none. */
const WITHOUT_WATCHDOG =
  'setenv fdtfile; fdt addr ${fdt_addr}; fdt set /soc/watchdog@7e100000 status disabled';

let built: BuiltBoard;
let dir: string;
let emulator: ChildProcess;
let serial: Socket;
let said = '';
let commands = 0;

/** Runs a shell command over the serial line; what it says is folded into one line. */
async function onSerial(command: string): Promise<string> {
  commands += 1;
  const [begin, end] = [`<${commands * 7}`, `${commands * 7}>`];
  // The line is echoed as it is typed: there the numbers are sums yet.
  const number = `$((${commands} * 7))`;
  serial.write(`echo "<${number} $(echo $(${command})) ${number}>"\r`);
  const answered = () =>
    said.includes(` ${end}`) && { text: said.split(`${begin} `)[1]?.split(` ${end}`)[0] };
  const { text = '' } = await until(answered, { timeoutMs: 150_000, what: command });
  return text;
}

beforeAll(async () => {
  built = await buildBoard({ board: 'raspberry-pi-3', variant: 'development' });
  dir = await mkdtemp(join(tmpdir(), 'wherry-raspi3b-'));
  const card = join(dir, 'card.img');
  await execute('cp', ['--sparse=always', built.disk, card]);
  await truncate(card, 2 * GIB);
  const offset = PARTITIONS.firmware.start * SECTOR;
  const held = (await readFatFile(card, 'uboot.env', offset)) ?? Buffer.alloc(0);
  const environment = decodeEnvironment(held) ?? {};
  const bootcmd = `${WITHOUT_WATCHDOG}; ${environment.bootcmd}`;
  const changed = { ...environment, bootcmd, bootdelay: '-2', extra: 'systemd.show_status=1' };
  await putFiles(card, { 'uboot.env': encodeEnvironment(changed, held.length) }, { offset });
  const socket = join(dir, 'serial.sock');
  const tree = join(built.packages, '../device-trees/broadcom/bcm2837-rpi-3-b.dtb');
  const args = '-M raspi3b -accel tcg,thread=multi,tb-size=256 -display none -monitor none'.split(' ');
  // The firmware's part is done by QEMU: it loads U-Boot, and hands it the tree.
  args.push('-kernel', built.bootloader, '-dtb', tree, '-drive', `if=sd,file=${card},format=raw`);
  args.push('-serial', 'null', '-serial', `unix:${socket},server=on,wait=off`);
  emulator = spawn(QEMU, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  serial = await until(() => connectTo(socket), { timeoutMs: 30_000, what: 'QEMU' });
  serial.setEncoding('utf8').on('data', (piece: string) => {
    said += piece;
  });
}, 400_000);

afterAll(async () => {
  serial?.destroy();
  if (emulator?.exitCode === null) {
    emulator.kill('SIGKILL');
    await once(emulator, 'exit');
  }
  await rm(dir, { recursive: true, force: true });
});

async function connectTo(path: string): Promise<Socket | false> {
  const socket = connect(path);
  const isOpen = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  return isOpen && socket;
}

test('goes through U-Boot and the boot script into slot a, to a shell', async () => {
  await until(() => said.endsWith('# '), { timeoutMs: BOOT_MS, what: 'a shell on the serial line' });
  expect(said).toContain('Booting slot a');
  const commandLine = (await onSerial('cat /proc/cmdline')).split(' ');
  expect(commandLine).toEqual(
    expect.arrayContaining(['wherry.slot=a', 'cgroup_enable=memory', 'console=ttyS1,115200']),
  );
  expect(await onSerial("tr '\\0' ' ' < /proc/device-tree/compatible")).toBe(
    'raspberrypi,3-model-b brcm,bcm2837',
  );
}, 1_000_000);

test('has its system read-only, its data grown over the card, and the memory controller', async () => {
  expect(await onSerial("grep -c ' / erofs ro' /proc/mounts")).toBe('1');
  const links = await onSerial('ls /dev/wherry');
  expect(links).toBe('boot-a boot-b data disk firmware system-a system-b');
  expect(Number(await onSerial("df -m /var | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2"))).toBeGreaterThan(500);
  expect(await onSerial('cat /sys/fs/cgroup/cgroup.controllers')).toContain('memory');
}, 300_000);

test('loads the drivers that nobody else would load', async () => {
  let missing = (built.config.kernel.load ?? []).map((name) => name.replaceAll('-', '_'));
  const look = async (): Promise<boolean> => {
    // Emulated, it may be ended by its own limit of 90 s; what it has loaded by then stays.
    await onSerial('systemctl start systemd-modules-load');
    const loaded = (await onSerial("cut -d ' ' -f 1 /proc/modules")).split(' ');
    missing = missing.filter((name) => !loaded.includes(name));
    return missing.length === 0;
  };
  await until(look, { timeoutMs: 400_000, what: 'the drivers' }).catch(() => false);
  expect(missing).toEqual([]);
}, 1_000_000);
