import { delegatedObject, metadataObject, TIMESTAMP_OBJECT } from '../../../protocol/objects.ts';
import type { ChunkSource } from '../ports.ts';
import { SourceError } from '../sources/source-error.ts';
import type { TrustedMetadata } from './ports.ts';

/**
 * What this device trusts already, as a source: a device without a network may know newer metadata than the folder it
 * is given, and then needs no other.
 */
export class StoredMetadata implements ChunkSource {
  readonly #store: TrustedMetadata;

  constructor(store: TrustedMetadata) {
    this.#store = store;
  }

  async read(object: string, maxBytes: number): Promise<Buffer> {
    const { timestamp, snapshot, targets, delegated = {} } = (await this.#store.load()).texts;
    const known = [
      [timestamp, () => TIMESTAMP_OBJECT],
      [snapshot, (version: number) => metadataObject('snapshot', version)],
      [targets, (version: number) => metadataObject('targets', version)],
      ...Object.entries(delegated).map(
        ([role, text]) => [text, (version: number) => delegatedObject(role, version)] as const,
      ),
    ] as const;
    const found = known.find(
      ([text, nameOf]) => text !== undefined && nameOf(versionOf(text)) === object,
    )?.[0];
    if (found === undefined || Buffer.byteLength(found) > maxBytes) throw notHere(object);
    return Buffer.from(found);
  }

  fetch(object: string): Promise<void> {
    return Promise.reject(notHere(object));
  }
}

/** Of a text that was verified before it was stored. */
const versionOf = (text: string): number =>
  (JSON.parse(text) as { signed: { version: number } }).signed.version;

const notHere = (object: string): SourceError =>
  new SourceError('unknown-object', `Cannot read ${object}: this device does not trust it yet`);
