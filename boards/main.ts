// Builds the files that a board boots from: `node boards/main.ts <board>`.
import { buildAgent } from '../scripts/build.ts';
import { say } from '../scripts/setup.mjs';
import { buildBoard } from './builder/build-board.ts';

const [board = 'qemu-virt'] = process.argv.slice(2);
await buildAgent(say);
const { kernel, initramfs, system, manifest } = await buildBoard({ board, onProgress: say });
say([kernel, initramfs, system, manifest].join('\n'));
