import { delegatedObject, metadataObject, TIMESTAMP_OBJECT } from '../../../protocol/objects.ts';
import { TufError } from '../../../protocol/tuf.ts';
import type { ChunkSource } from '../ports.ts';
import type { MetadataFile, MetadataSource } from './ports.ts';

/** Metadata as objects of a chunk source: every name but the timestamp's holds a version. */
export class ObjectMetadata implements MetadataSource {
  readonly #source: ChunkSource;
  constructor(source: ChunkSource) {
    this.#source = source;
  }

  async read(file: MetadataFile, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    return this.#source.read(objectOf(file), maxBytes, signal);
  }
}

function objectOf({ role, version }: MetadataFile): string {
  if (role === 'timestamp') return TIMESTAMP_OBJECT;
  const name =
    version === undefined
      ? undefined
      : role === 'root' || role === 'snapshot' || role === 'targets'
        ? metadataObject(role, version)
        : delegatedObject(role, version);
  if (name !== undefined) return name;
  throw new TufError(
    'malformed',
    version === undefined
      ? 'Cannot use root.json: it says that the repository has no consistent snapshots; sign one with consistent_snapshot'
      : `Cannot fetch metadata of role "${role}": no object can have its name`,
  );
}
