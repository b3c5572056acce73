import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { BuiltBoard } from '../builder/build-board.ts';
import type { FatFiles } from '../fat.ts';
import { type CommandResult, ControlChannel } from './control-channel.ts';
import { makeOverlay } from './overlay.ts';
import { qemuArguments } from './qemu-arguments.ts';
import { writeFlash } from './uboot-flash.ts';

export interface EmulatedBoardOptions {
  /** The development variant: a board without the control port takes no commands. */
  built: BuiltBoard;
  /** Sockets, console and the disk; made here. */
  dir: string;
  /** Becomes the first content of the data partition, the board's /var. */
  dataFolder?: string;
  /** Files of the firmware partition, as a flasher writes them. */
  firmwareFiles?: FatFiles;
  /** The medium is larger than the image by so much. */
  spareMib: number;
  memoryMib: number;
  cpus: number;
  /** An EROFS image that the board mounts at /mnt. */
  extraDisk?: string;
}

export interface BootOptions {
  /** The board's process 1. */
  init?: string;
  /** More of the kernel's command line. */
  extra?: readonly string[];
  timeoutMs?: number;
}

/** A board in QEMU. Its disk outlives its boots, as a card in a real board does. */
export class EmulatedBoard {
  readonly #options: EmulatedBoardOptions;
  #process: ChildProcess | undefined;
  #control: ControlChannel | undefined;

  private constructor(options: EmulatedBoardOptions) {
    this.#options = options;
  }

  /** Makes its disk; not booted. */
  static async create(options: EmulatedBoardOptions): Promise<EmulatedBoard> {
    const { built, dir, ...parts } = options;
    await mkdir(dir, { recursive: true });
    await makeOverlay(join(dir, 'disk.qcow2'), { disk: built.disk, ...parts });
    return new EmulatedBoard(options);
  }

  /** The board's disk: qcow2. Only to be touched while the power is off. */
  get disk(): string {
    return join(this.#options.dir, 'disk.qcow2');
  }

  /** Power on. Resolves when the board takes commands. */
  async boot({ timeoutMs = 120_000, ...options }: BootOptions = {}): Promise<void> {
    const { built, dir } = this.#options;
    const controlSocket = join(dir, 'control.sock');
    const args = await this.#arguments(controlSocket, options);
    for (const socket of ['control.sock', 'monitor.sock']) await rm(join(dir, socket), { force: true });
    const child = spawn(emulatorOf(built).program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    this.#process = child;
    const deadline = Date.now() + timeoutMs;
    this.#control = await this.#patiently(deadline, () => ControlChannel.open(controlSocket));
    await this.#patiently(deadline, async () => this.bootId);
  }

  async #arguments(controlSocket: string, { init, extra = [] }: BootOptions): Promise<string[]> {
    const { built, dir, cpus, memoryMib, extraDisk } = this.#options;
    const flash = join(dir, 'flash.img');
    await writeFlash(flash, [
      ...extra,
      ...(extraDisk === undefined ? [] : ['wherry.extra=/dev/vdb']),
      ...(init === undefined ? [] : [`wherry.init=${init}`]),
    ]);
    return qemuArguments({
      emulator: emulatorOf(built),
      cpus,
      memoryMib,
      bootloader: built.bootloader,
      flash,
      disks: [
        { file: this.disk, format: 'qcow2', isReadOnly: false },
        ...(extraDisk === undefined ? [] : [{ file: extraDisk, format: 'raw' as const, isReadOnly: true }]),
      ],
      consoleFile: join(dir, 'console.log'),
      controlSocket,
      monitorSocket: join(dir, 'monitor.sock'),
    });
  }

  get bootId(): string | undefined {
    return this.#control?.bootId;
  }

  /** After a reboot that the board does by itself. Resolves when it takes commands again. */
  async rebooted(before: string, timeoutMs = 120_000): Promise<void> {
    await this.#patiently(Date.now() + timeoutMs, async () => this.bootId !== before);
  }

  /** Runs a shell command in the board. */
  run(command: string, timeoutMs?: number): Promise<CommandResult> {
    if (this.#control === undefined) throw new Error('Cannot run a command: the board is not booted');
    return this.#control.run(command, timeoutMs);
  }

  console(): Promise<string> {
    return readFile(join(this.#options.dir, 'console.log'), 'utf8');
  }

  /** The power is cut: whatever the board has not written is lost. One that is off is not an error. */
  async cutPower(): Promise<void> {
    const child = this.#process;
    this.#control?.close();
    this.#control = undefined;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** The reset button. */
  async reset(): Promise<void> {
    const monitor = connect(join(this.#options.dir, 'monitor.sock'));
    await once(monitor, 'connect');
    monitor.write('{"execute":"qmp_capabilities"}{"execute":"system_reset"}');
    await once(monitor, 'data');
    monitor.end();
  }

  async #patiently<T>(deadline: number, look: () => Promise<T | undefined | false>): Promise<T> {
    for (;;) {
      const child = this.#process;
      if (child && (child.exitCode !== null || child.signalCode !== null))
        throw new Error(`Cannot boot the board: QEMU ended with ${child.exitCode ?? child.signalCode}`);
      const found = await look().catch(() => undefined);
      if (found !== undefined && found !== false) return found;
      if (Date.now() > deadline)
        throw new Error(
          `Cannot boot the board: it does not take commands; its console ends with\n${(await this.console()).slice(-2000)}`,
        );
      await pause(100);
    }
  }
}

function emulatorOf({ board, config }: BuiltBoard): NonNullable<BuiltBoard['config']['emulator']> {
  if (config.emulator === undefined) throw new Error(`Cannot run board "${board}": nothing emulates it`);
  return config.emulator;
}
