import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { keyOf, made } from '../../boards/builder/cache.ts';
import type { EmulationParts } from '../../boards/emulator/qemu-arguments.ts';
import { debianSources } from '../../images/debian-sources.ts';
import { run } from '../../images/run.ts';

/** Written to the serial line once multi-user.target is reached. */
const MARK = 'BENCH-MULTI-USER';
const UNIT = `[Unit]
Description=Tells whoever measures that this system is up
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo ${MARK} > /dev/ttyAMA0'
[Install]
WantedBy=graphical.target
`;
const DISK = '2G';

export interface StockDebian {
  disk: string;
  kernel: string;
  initramfs: string;
}

/** A stock Debian arm64 system on a disk. Made once, which takes half an hour: its packages' scripts run emulated. */
export async function stockDebian(
  cacheDir: string,
  onProgress: (line: string) => void,
): Promise<StockDebian> {
  const sources = (await debianSources()).replaceAll('bookworm', 'trixie');
  const install = join(import.meta.dirname, 'install.sh');
  const installedKey = keyOf(await readFile(install, 'utf8'), sources);
  const installed = await made(cacheDir, 'stock-installed', installedKey, async (work) => {
    onProgress('Installing a stock Debian arm64 under qemu-user: half an hour, once');
    await writeFile(join(work, 'stock.sources'), sources);
    await run(install, [join(work, 'stock.tar'), join(work, 'stock.sources')]);
  });
  const folder = await made(cacheDir, 'stock-debian', keyOf(installedKey, UNIT, DISK), async (work) => {
    onProgress('Packing it');
    await pack(work, join(installed, 'stock.tar'));
  });
  const [disk, kernel, initramfs] = ['disk.img', 'kernel', 'initramfs'].map((name) => join(folder, name));
  return { disk: disk ?? '', kernel: kernel ?? '', initramfs: initramfs ?? '' };
}

async function pack(work: string, tar: string): Promise<void> {
  const root = join(work, 'root');
  await mkdir(root);
  await run('tar', ['--numeric-owner', '-xpf', tar, '-C', root, '--exclude=./dev/*']);
  const units = join(root, 'etc/systemd/system');
  await writeFile(join(units, 'bench-multi-user.service'), UNIT);
  await mkdir(join(units, 'graphical.target.wants'), { recursive: true });
  await run('ln', [
    '-s',
    '../bench-multi-user.service',
    join(units, 'graphical.target.wants/bench-multi-user.service'),
  ]);
  // Debian's own links to the newest of each.
  await run('cp', ['-L', join(root, 'vmlinuz'), join(work, 'kernel')]);
  await run('cp', ['-L', join(root, 'initrd.img'), join(work, 'initramfs')]);
  await run('mkfs.ext4', ['-q', '-F', '-d', root, join(work, 'disk.img'), DISK]);
  await run('rm', ['-rf', root]);
}

export interface StockMachine {
  stock: StockDebian;
  emulator: EmulationParts['emulator'];
  /** Overlay and console; made here. */
  dir: string;
  cpus: number;
  memoryMib: number;
}

/** Makes the disk that outlives boots. */
export async function prepareStock({ stock, dir }: StockMachine): Promise<void> {
  await mkdir(dir, { recursive: true });
  const options = ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', stock.disk];
  await run('qemu-img', [...options, join(dir, 'disk.qcow2')]);
}

/** Milliseconds from power on to multi-user.target. No boot loader: QEMU places kernel and initramfs in memory. */
export async function bootStock(machine: StockMachine, timeoutMs: number): Promise<number> {
  const { dir } = machine;
  const console = join(dir, 'console.log');
  await rm(console, { force: true });
  const begin = performance.now();
  const child = spawn(machine.emulator.program, argumentsOf(machine, console), { stdio: 'ignore' });
  try {
    while (!(await readFile(console, 'utf8').catch(() => '')).includes(MARK)) {
      if (performance.now() - begin > timeoutMs || child.exitCode !== null)
        throw new Error(`Cannot boot a stock Debian: see ${console}`);
      await pause(50);
    }
    const took = performance.now() - begin;
    await settle();
    return took;
  } finally {
    await end(child);
  }
}

/** What it still writes is on the disk before the power goes, so that the next boot repairs nothing. */
const settle = (): Promise<void> => pause(10_000);

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

function argumentsOf({ stock, emulator, dir, cpus, memoryMib }: StockMachine, console: string): string[] {
  const options = [
    ['-machine', `${emulator.machine},gic-version=2`],
    ['-cpu', emulator.cpu],
    ['-accel', 'tcg,thread=multi,tb-size=256'],
    ['-smp', String(cpus)],
    ['-m', `${memoryMib}M`],
    ['-nographic', '-nodefaults', '-no-user-config'],
    ['-kernel', stock.kernel],
    ['-initrd', stock.initramfs],
    ['-append', `root=/dev/vda rw quiet console=ttyAMA0`],
    ['-drive', `if=none,id=disk,file=${join(dir, 'disk.qcow2')},format=qcow2,cache=writeback`],
    ['-device', 'virtio-blk-pci,drive=disk'],
    ['-netdev', 'user,id=net'],
    ['-device', 'virtio-net-pci,netdev=net,romfile='],
    ['-device', 'virtio-rng-pci'],
    ['-serial', `file:${console}`],
  ];
  return options.flat();
}
