import { open } from 'node:fs/promises';
import { LIMITS } from '../../protocol/limits.ts';
import { ReleaseError } from '../errors.ts';
import { digesting } from '../files.ts';
import type { ImageLayer } from '../oci/image.ts';

/** Nothing is made of a tar before all of it is known to be what the image's config says. */
export async function spool(layer: ImageLayer, file: string, name: string): Promise<void> {
  let sha256 = '';
  const handle = await open(file, 'wx');
  try {
    await handle.writeFile(digesting(bounded(layer.open(), name), (digest) => (sha256 = digest)));
  } finally {
    await handle.close();
  }
  if (sha256 !== layer.diffId)
    throw new ReleaseError(
      'image-digest',
      `Cannot trust layer ${name}: its tar has sha256 ${sha256.slice(0, 12)}; wanted its diffID`,
    );
}

/** A small compressed layer may hold more than any disk. */
async function* bounded(tar: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const data of tar) {
    bytes += data.length;
    if (bytes > LIMITS.blobBytes) throw refused(name, `its tar has more than ${LIMITS.blobBytes} bytes`);
    yield data;
  }
}

export const refused = (name: string, what: string): ReleaseError =>
  new ReleaseError('image-refused', `Cannot take layer ${name}: ${what}`);
