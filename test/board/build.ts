import { buildBoard } from '../../boards/builder/build-board.ts';
import { buildForDevice } from '../../scripts/build.ts';
import { say } from '../../scripts/setup.mjs';

/** What every emulated board boots from, made once before files of tests ask for it side by side. */
export default async function build(): Promise<void> {
  await buildForDevice(say);
  await buildBoard({ board: 'qemu-virt', variant: 'development', onProgress: say });
}
