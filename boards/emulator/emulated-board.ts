import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { run } from '../../images/run.ts';
import type { BuiltBoard } from '../builder/build-board.ts';
import { type CommandResult, ControlChannel } from './control-channel.ts';
import { BOARD_ADDRESS, HOST_ADDRESS, qemuArguments } from './qemu-arguments.ts';

export interface EmulatedBoardOptions {
  built: BuiltBoard;
  /** Sockets, console and the data disk; made here. */
  dir: string;
  /** Becomes the first content of the data disk, the board's /var. */
  dataFolder: string;
  dataMib: number;
  memoryMib: number;
  cpus: number;
  /** An EROFS image that the board mounts at /mnt. */
  extraDisk?: string;
}

export interface BootOptions {
  /** The board's process 1. */
  init?: string;
  timeoutMs?: number;
}

/** A board in QEMU. Its data disk outlives its boots, as a card in a real board does. */
export class EmulatedBoard {
  readonly #options: EmulatedBoardOptions;
  #process: ChildProcess | undefined;
  #control: ControlChannel | undefined;

  private constructor(options: EmulatedBoardOptions) {
    this.#options = options;
  }

  /** Makes its data disk; not booted. */
  static async create(options: EmulatedBoardOptions): Promise<EmulatedBoard> {
    const { dir, dataFolder, dataMib } = options;
    await mkdir(dir, { recursive: true });
    const disk = join(dir, 'data.img');
    await rm(disk, { force: true });
    await run('mkfs.ext4', ['-q', '-F', '-d', dataFolder, '-E', 'root_owner=0:0', disk, `${dataMib}M`]);
    return new EmulatedBoard(options);
  }

  /** Power on. Resolves when the board takes commands. */
  async boot({ init, timeoutMs = 120_000 }: BootOptions = {}): Promise<void> {
    const { built, dir, cpus, memoryMib, extraDisk } = this.#options;
    const disks = [
      { file: built.system, format: 'raw' as const, isReadOnly: true },
      { file: join(dir, 'data.img'), format: 'raw' as const, isReadOnly: false },
      ...(extraDisk === undefined ? [] : [{ file: extraDisk, format: 'raw' as const, isReadOnly: true }]),
    ];
    const controlSocket = join(dir, 'control.sock');
    const args = qemuArguments({
      emulator: built.config.emulator,
      cpus,
      memoryMib,
      kernel: built.kernel,
      initramfs: built.initramfs,
      commandLine: [
        ...built.config.kernel.commandLine,
        'wherry.system=/dev/vda',
        'wherry.data=/dev/vdb',
        ...(extraDisk === undefined ? [] : ['wherry.extra=/dev/vdc']),
        `wherry.address=${BOARD_ADDRESS}`,
        `wherry.gateway=${HOST_ADDRESS}`,
        ...(init === undefined ? [] : [`wherry.init=${init}`]),
      ],
      disks,
      consoleFile: join(dir, 'console.log'),
      controlSocket,
      monitorSocket: join(dir, 'monitor.sock'),
    });
    for (const socket of ['control.sock', 'monitor.sock']) await rm(join(dir, socket), { force: true });
    const child = spawn(built.config.emulator.program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    this.#process = child;
    const deadline = Date.now() + timeoutMs;
    this.#control = await this.#patiently(deadline, () => ControlChannel.open(controlSocket));
    await this.#patiently(deadline, async () => this.bootId);
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
