import type { ImageConfig } from '../image-config.ts';

/** One disk of an emulated board; they appear as /dev/vda, /dev/vdb, … in this order. */
export interface Disk {
  file: string;
  format: 'raw' | 'qcow2';
  isReadOnly: boolean;
}

/** A TCP port of the host's loopback interface that leads to one of the board. */
export interface Forward {
  hostPort: number;
  boardPort: number;
}

export interface EmulationParts {
  emulator: NonNullable<ImageConfig['emulator']>;
  cpus: number;
  memoryMib: number;
  /** U-Boot, and the flash that holds its environment. */
  bootloader: string;
  flash: string;
  disks: readonly Disk[];
  forwards: readonly Forward[];
  /** What the board writes to its serial line. */
  consoleFile: string;
  /** Unix socket of the port that carries commands (control-channel.ts). */
  controlSocket: string;
  /** Unix socket on which QEMU itself takes orders. */
  monitorSocket: string;
}

/** The emulating machine as the board sees it in QEMU's own network, which also gives it its address. */
export const HOST_ADDRESS = '10.0.2.2';

/** Arguments of QEMU for one board. The board reaches ports of the host's loopback interface at HOST_ADDRESS. */
export function qemuArguments(parts: EmulationParts): string[] {
  const { emulator, cpus, memoryMib, bootloader, flash, disks } = parts;
  const options = [
    // KSM may merge what several boards hold alike, where the host's kernel is told to.
    ['-machine', `${emulator.machine},gic-version=2,mem-merge=on`],
    ['-cpu', emulator.cpu],
    ['-accel', 'tcg,thread=multi,tb-size=256'],
    ['-smp', String(cpus)],
    ['-m', `${memoryMib}M`],
    ['-nographic', '-nodefaults', '-no-user-config'],
    ['-bios', bootloader],
    ['-drive', `if=pflash,unit=1,file=${flash},format=raw,readonly=on`],
    ...disks.flatMap((disk, index) => [
      ['-drive', `if=none,id=disk${index},file=${disk.file},format=${disk.format},${cacheOf(disk)}`],
      ['-device', `virtio-blk-pci,drive=disk${index},serial=wherry${index}`],
    ]),
    ['-netdev', ['user,id=net', ...parts.forwards.map(forwardText)].join(',')],
    ['-device', 'virtio-net-pci,netdev=net,romfile='],
    ['-device', 'virtio-rng-pci'],
    ['-device', 'i6300esb', '-action', 'watchdog=reset'],
    ['-serial', `file:${parts.consoleFile}`],
    ['-qmp', `unix:${parts.monitorSocket},server=on,wait=off`],
    ['-device', 'virtio-serial-pci'],
    ['-chardev', `socket,id=control,path=${parts.controlSocket},server=on,wait=off`],
    ['-device', 'virtserialport,chardev=control,name=wherry.control'],
  ];
  return options.flat();
}

const cacheOf = ({ isReadOnly }: Disk): string => (isReadOnly ? 'readonly=on' : 'cache=writeback');

const forwardText = ({ hostPort, boardPort }: Forward): string =>
  `hostfwd=tcp:127.0.0.1:${hostPort}-:${boardPort}`;
