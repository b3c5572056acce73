import { blobObject, manifestObject } from '../protocol/objects.ts';
import { blobsOf } from './build.ts';
import { ReleaseError } from './errors.ts';
import {
  blobPath,
  type MetadataTexts,
  manifestPath,
  readManifest,
  readMetadata,
  writeMetadata,
} from './folder.ts';
import { FetchReleaseServer } from './server.ts';

export interface PushEvent {
  object: string;
  sizeBytes: number;
  /** False when the server had it already. */
  isSent: boolean;
  /** Of all objects, this one included. */
  done: number;
  total: number;
}

export interface PushResult {
  /** The release's id on the server. */
  id: string;
  sentObjects: number;
  sentBytes: number;
}

/** Uploads what the server lacks, then publishes. Safe to repeat: after an interruption whole objects are not sent again. */
export async function pushRelease(options: {
  dir: string;
  server: string;
  token?: string;
  /** Instead of the folder's own, which it replaces there. */
  metadata?: MetadataTexts | undefined;
  onProgress?: (event: PushEvent) => void;
}): Promise<PushResult> {
  const { dir, onProgress } = options;
  const { manifest, bytes, sha256 } = await readManifest(dir);
  if (options.metadata) await writeMetadata(dir, options.metadata);
  const { roots, targets, delegated } = await readMetadata(dir);
  if (targets === undefined)
    throw new ReleaseError('folder', `Cannot push ${dir}: it is not signed; run wherry release sign`);
  const server = new FetchReleaseServer(options.server, options.token);
  const objects = [
    ...blobsOf(manifest).map(({ verity, sizeBytes }) => ({
      name: blobObject(verity),
      file: blobPath(dir, verity),
      sizeBytes,
    })),
    { name: manifestObject(sha256), file: manifestPath(dir), sizeBytes: bytes.length },
  ];
  let [sentObjects, sentBytes] = [0, 0];
  for (const [index, { name, file, sizeBytes }] of objects.entries()) {
    const isSent = !(await server.hasObject(name));
    if (isSent) {
      await server.putObject(name, file);
      sentObjects += 1;
      sentBytes += sizeBytes;
    }
    onProgress?.({ object: name, sizeBytes, isSent, done: index + 1, total: objects.length });
  }
  const { id } = await server.publish({
    manifestSha256: sha256,
    roots,
    targets,
    ...(Object.keys(delegated).length > 0 && { delegated }),
  });
  return { id, sentObjects, sentBytes };
}
