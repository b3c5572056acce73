/**
 * Opens an image reference and converts its layers, alone in a process: `convert-child.ts REFERENCE FOLDER`.
 * Says on stdout what came of it, and the most memory that it took.
 */
import { join } from 'node:path';
import { ReleaseError } from '../../release/errors.ts';
import { LayerCache } from '../../release/layer/convert.ts';
import { openImage } from '../../release/oci/reference.ts';

const [reference = '', folder = ''] = process.argv.slice(2);
const cache = new LayerCache(join(folder, 'cache'));

async function outcome(): Promise<string> {
  try {
    const archive = await openImage(reference, folder, join(folder, 'temp'));
    try {
      const below: { verity: string }[] = [];
      const { layers } = await archive.image('linux/amd64');
      for (const layer of layers) below.push(await cache.convert(layer, below));
      return 'ok';
    } finally {
      await archive.close();
    }
  } catch (error) {
    if (error instanceof ReleaseError) return error.code;
    return `not a refusal: ${error instanceof Error ? error.stack : String(error)}`;
  }
}

const came = await outcome();
const { maxRSS } = process.resourceUsage();
console.log(JSON.stringify({ came, mostMib: Math.round(maxRSS / 1024) }));
process.exit(0);
