import { readFile, stat } from 'node:fs/promises';
import { buildBoard, compressedImage } from '../boards/builder/build-board.ts';
import { type Bench, round } from './bench.ts';

const MIB = 1024 ** 2;
const BOARDS = ['qemu-virt', 'raspberry-pi-3', 'raspberry-pi-4', 'raspberry-pi-5', 'raspberry-pi-zero-2-w'];

/** What one flashes, and what an update of the whole system would bring at most. */
export const bench: Bench = async () => {
  const rows: Record<string, Record<string, number>> = {};
  const metrics: Record<string, number> = {};
  for (const board of BOARDS) {
    const built = await buildBoard({ board, onProgress: (line) => console.error(`${board}: ${line}`) });
    const image = await compressedImage(built);
    const mib = async (file: string): Promise<number> => round((await stat(file)).size / MIB);
    const row = {
      imageMib: await mib(image),
      rootMib: await mib(built.root),
      bootMib: await mib(built.boot),
      packages: JSON.parse(await readFile(built.manifest, 'utf8')).packages.length,
    };
    rows[board] = row;
    for (const [name, value] of Object.entries(row)) metrics[`${board.replaceAll('-', '_')}_${name}`] = value;
  }
  return { rows, metrics };
};
