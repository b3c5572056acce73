import { join } from 'node:path';
import { replaceFile } from '../../../protocol/durable-file.ts';
import { type Boot, type BootMarker, nextMarker } from './core/boot-reason.ts';
import { namesIn, readRecord, readText } from './small-file.ts';

export interface BootRoots {
  /** Where the marker is kept. */
  file: string;
  proc: string;
  sys: string;
  /** Where systemd moves the kernel's crash records to. */
  pstoreArchive: string;
}

/** Set in bootstatus when the watchdog reset the board: WDIOF_CARDRESET of linux/watchdog.h. */
const CARD_RESET = 0x20;

/** Tells why the device booted, from how the agent left the boot before and from what the kernel and the board kept. */
export class BootMarkerFile {
  readonly #file: string;
  #marker: BootMarker;
  #writing: Promise<void> = Promise.resolve();

  constructor({ file, proc, sys, pstoreArchive }: BootRoots, now: number) {
    this.#file = file;
    const uptimeMs = Number(readText(join(proc, 'uptime'))?.split(' ')[0] ?? 0) * 1000;
    const status = Number(readText(join(sys, 'class/watchdog/watchdog0/bootstatus')) ?? 0);
    this.#marker = nextMarker(readRecord<BootMarker>(file), {
      bootId: readText(join(proc, 'sys/kernel/random/boot_id'))?.trim() ?? 'unknown',
      bootedAt: Math.max(0, Math.round(now - uptimeMs)),
      panics: [...crashes(join(sys, 'fs/pstore')), ...namesIn(pstoreArchive)].sort(),
      isWatchdogReset: (status & CARD_RESET) !== 0,
    });
  }

  get boot(): Boot {
    return this.#marker.boot;
  }

  /** The device is in use: a boot that follows without an ending was not planned. Durable at return. */
  begin(): Promise<void> {
    return this.#write((marker) => ({ ...marker, ending: undefined }));
  }

  /** The first ending stands: a reboot that was asked for also ends in order. Durable at return. */
  end(kind: NonNullable<BootMarker['ending']>['kind'], message: string): Promise<void> {
    return this.#write((marker) => (marker.ending ? marker : { ...marker, ending: { kind, message } }));
  }

  /** One write at a time: two would share the file that replaces. */
  #write(change: (marker: BootMarker) => BootMarker): Promise<void> {
    this.#writing = this.#writeAfter(this.#writing, change);
    return this.#writing;
  }

  async #writeAfter(before: Promise<void>, change: (marker: BootMarker) => BootMarker): Promise<void> {
    await before.catch(() => {});
    const marker = change(this.#marker);
    if (marker !== this.#marker) await replaceFile(this.#file, JSON.stringify(marker));
    this.#marker = marker;
  }
}

/** pstore also keeps console and ftrace buffers; a panic or an oops leaves dmesg. */
const crashes = (folder: string): string[] => namesIn(folder).filter((name) => name.startsWith('dmesg-'));
