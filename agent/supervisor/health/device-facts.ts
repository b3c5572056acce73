import { join } from 'node:path';
import type { DeviceHealth, ThrottleFlag } from '../../../protocol/status.ts';
import { blockDeviceOf } from '../cgroup/block-device.ts';
import type { DeviceStrain } from '../ports.ts';
import { BootMarkerFile } from './boot-marker.ts';
import type { ClockWatch } from './clock-watch.ts';
import { readThrottled, type Throttling, uniteFlags } from './core/throttling.ts';
import { deviceHealth } from './device-health.ts';
import { namesIn, readText } from './small-file.ts';
import { StorageWear } from './storage-wear.ts';

export interface DeviceFactsOptions {
  stateDir: string;
  /** Unix ms. */
  now: number;
  /** board.storageEndurance in bytes. */
  enduranceBytes?: number | undefined;
  /** Runs from `open` to `close`; without one nothing is known of the clock. */
  clockWatch?: Pick<ClockWatch, 'start' | 'state' | 'stop'>;
  /** A file of ours that could not be written; facts go on from memory. */
  onError(error: unknown): void;
  /** Roots and disk are given by tests only. */
  proc?: string;
  sys?: string;
  pstoreArchive?: string;
  disk?: string | undefined;
}

const FIRMWARE = 'devices/platform/soc/soc:firmware/get_throttled';

/** What the device tells of itself. Reads files of the kernel, spawns nothing; cheap enough for every pass. */
export class DeviceFacts {
  readonly #options: DeviceFactsOptions;
  readonly #proc: string;
  readonly #sys: string;
  readonly #boot: BootMarkerFile;
  readonly #wear: StorageWear | undefined;
  #seen: ThrottleFlag[] = [];

  private constructor(options: DeviceFactsOptions) {
    const { stateDir, proc = '/proc', sys = '/sys', enduranceBytes, onError } = options;
    const { pstoreArchive = '/var/lib/systemd/pstore' } = options;
    this.#options = options;
    this.#proc = proc;
    this.#sys = sys;
    this.#boot = new BootMarkerFile(
      { file: join(stateDir, 'boot.json'), proc, sys, pstoreArchive },
      options.now,
    );
    const disk = options.disk ?? blockDeviceOf(stateDir)?.id;
    const bootId = this.#boot.boot.id;
    const file = join(stateDir, 'wear.json');
    this.#wear =
      disk === undefined ? undefined : new StorageWear({ file, disk, bootId, enduranceBytes, sys, onError });
  }

  /** Begins this boot on disk; `stateDir` exists. */
  static async open(options: DeviceFactsOptions): Promise<DeviceFacts> {
    const facts = new DeviceFacts(options);
    await facts.#boot.begin().catch(options.onError);
    options.clockWatch?.start();
    return facts;
  }

  /** All but `shedding` and `faults`, which are the supervisor's to tell. */
  health(): DeviceHealth {
    const health = deviceHealth({ stateDir: this.#options.stateDir, proc: this.#proc, sys: this.#sys });
    const throttling = this.#throttling();
    const storage = this.#wear?.look(health.uptimeMs);
    return {
      ...health,
      ...(throttling && { throttling }),
      ...(storage && { storage }),
      clock: { state: this.#options.clockWatch?.state() ?? 'unknown' },
      boot: this.#boot.boot,
    };
  }

  strain(): DeviceStrain {
    const { memoryPressure, ioPressure, temperatureCelsius } = deviceHealth({
      stateDir: this.#options.stateDir,
      proc: this.#proc,
      sys: this.#sys,
    });
    const throttling = this.#throttling();
    return {
      ...(memoryPressure && { memoryPressure: memoryPressure.some }),
      ...(ioPressure && { ioPressure: ioPressure.some }),
      ...(temperatureCelsius !== undefined && { temperatureCelsius }),
      ...(throttling && { isUnderVoltage: throttling.now.includes('under-voltage') }),
    };
  }

  /** Before a reboot that the agent asks for: the next boot then knows. Durable at return. */
  async noteReboot(reason: string): Promise<void> {
    await this.#boot.end('requested', reason);
  }

  /**
   * The agent ends in order. systemd and init end it so at shutdown, so a boot that follows was clean; an agent that
   * comes back within the same boot takes that back.
   */
  async close(): Promise<void> {
    this.#options.clockWatch?.stop();
    await this.#boot.end('clean', 'The agent was stopped').catch(this.#options.onError);
    await this.#wear?.keep().catch(this.#options.onError);
  }

  #throttling(): Throttling | undefined {
    const told = readThrottled(readText(join(this.#sys, FIRMWARE)) ?? '') ?? this.#voltageAlarm();
    if (told === undefined) return undefined;
    this.#seen = uniteFlags(this.#seen, told.now, told.sinceBoot);
    return { now: told.now, sinceBoot: this.#seen };
  }

  /** The Raspberry Pi's only sign on kernels without the firmware's file. */
  #voltageAlarm(): Throttling | undefined {
    const folder = join(this.#sys, 'class/hwmon');
    const chip = namesIn(folder).find((name) => readText(join(folder, name, 'name'))?.trim() === 'rpi_volt');
    const alarm = chip && readText(join(folder, chip, 'in0_lcrit_alarm'))?.trim();
    return alarm ? { now: alarm === '1' ? ['under-voltage'] : [], sinceBoot: [] } : undefined;
  }
}
