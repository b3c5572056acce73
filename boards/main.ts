// Builds a board's disk: `node boards/main.ts <board> [production|development]`.
import { buildForDevice } from '../scripts/build.ts';
import { say } from '../scripts/setup.mjs';
import { buildBoard } from './builder/build-board.ts';

const [board = 'qemu-virt', variant = 'production'] = process.argv.slice(2);
if (variant !== 'production' && variant !== 'development')
  throw new Error(`Cannot build variant "${variant}": it is production or development`);
await buildForDevice(say);
const { disk, boot, root, bootloader, manifest } = await buildBoard({ board, variant, onProgress: say });
say([disk, boot, root, bootloader, manifest].join('\n'));
