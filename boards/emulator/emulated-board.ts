import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { BuiltBoard } from '../builder/build-board.ts';
import type { FatFiles } from '../fat.ts';
import { type CommandResult, ControlChannel } from './control-channel.ts';
import { isOverlayOf, makeOverlay } from './overlay.ts';
import { type Forward, qemuArguments } from './qemu-arguments.ts';
import { writeFlash } from './uboot-flash.ts';

export interface EmulatedBoardOptions {
  /** The development variant: a board without the control port takes no commands. */
  built: BuiltBoard;
  /** Sockets, console and the disk; made here. */
  dir: string;
  /** Files of the firmware partition, as a flasher writes them. */
  firmwareFiles?: FatFiles;
  /** The medium is larger than the image by so much. */
  spareMib: number;
  memoryMib: number;
  cpus: number;
  forwards?: readonly Forward[];
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

  /** With the disk that it had, where that is one of the same image; `firmwareFiles` are for a new one. */
  static async resume(options: EmulatedBoardOptions): Promise<EmulatedBoard> {
    const isSame = await isOverlayOf(join(options.dir, 'disk.qcow2'), options.built.disk);
    return isSame ? new EmulatedBoard(options) : EmulatedBoard.create(options);
  }

  /** The board's disk: qcow2. Only to be touched while the power is off. */
  get disk(): string {
    return join(this.#options.dir, 'disk.qcow2');
  }

  /** Power on. Resolves when the board takes commands. */
  async boot({ timeoutMs = 120_000, ...options }: BootOptions = {}): Promise<void> {
    await this.powerOn(options);
    const deadline = Date.now() + timeoutMs;
    this.#control = await this.#patiently(deadline, () => ControlChannel.open(this.#controlSocket));
    await this.#patiently(deadline, async () => this.bootId);
  }

  /** Power on, and no more. It goes off with the process that has put it on, however that ends. */
  async powerOn(options: Omit<BootOptions, 'timeoutMs'> = {}): Promise<void> {
    const { built, dir } = this.#options;
    const args = await this.#arguments(this.#controlSocket, options);
    for (const socket of ['control.sock', 'monitor.sock']) await rm(join(dir, socket), { force: true });
    const command = ['--pdeathsig', 'KILL', emulatorOf(built).program, ...args];
    this.#process = spawn('setpriv', command, { stdio: ['ignore', 'ignore', 'inherit'] });
  }

  /** Resolves when the board is off, however that came. */
  async whenOff(): Promise<void> {
    const child = this.#process;
    if (child && child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  /** Tells the system to end, where it takes commands, and cuts the power when it has not within the grace. */
  async powerOff(graceMs: number): Promise<void> {
    const timer = setTimeout(() => void this.cutPower(), graceMs);
    const control = this.#control ?? (await ControlChannel.open(this.#controlSocket).catch(() => undefined));
    // A production image has nobody who would listen: its power is cut, as it may be at any time.
    if (this.#options.built.variant === 'production' || control === undefined) await this.cutPower();
    else control.run('sync; systemctl poweroff').catch(() => undefined);
    await this.whenOff();
    clearTimeout(timer);
    control?.close();
  }

  get #controlSocket(): string {
    return join(this.#options.dir, 'control.sock');
  }

  async #arguments(controlSocket: string, { init, extra = [] }: BootOptions): Promise<string[]> {
    const { built, dir, cpus, memoryMib, extraDisk, forwards = [] } = this.#options;
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
      forwards,
      consoleFile: this.consoleFile,
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

  get consoleFile(): string {
    return join(this.#options.dir, 'console.log');
  }

  console(): Promise<string> {
    return readFile(this.consoleFile, 'utf8');
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
