import { open } from 'node:fs/promises';
import type { LayerNode } from '../core/layer-node.ts';
import { windowed } from './content.ts';
import { readErofs } from './read.ts';

/** The tree of a blob's file. Throws RangeError for what is no image. */
export async function readBlobTree(path: string): Promise<LayerNode> {
  const handle = await open(path);
  try {
    return await readErofs(windowed(handle));
  } finally {
    await handle.close();
  }
}
