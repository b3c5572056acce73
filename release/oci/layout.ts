import { join } from 'node:path';
import type { Platform } from '../../protocol/manifest.ts';
import type { Validated } from '../../protocol/validate.ts';
import { documentKind, isImageConfig, layerKind } from '../core/media-types.ts';
import { messageOf, ReleaseError } from '../errors.ts';
import { DOCUMENT_BYTES, hexOf, LayoutBlobs } from './blobs.ts';
import {
  checkImageConfig,
  checkImageManifest,
  checkIndex,
  type Descriptor,
  type ImageConfig,
  type ImageManifest,
} from './documents.ts';
import type { Image, ImageArchive } from './image.ts';
import { readRegular } from './regular-file.ts';

const REF_NAME = 'org.opencontainers.image.ref.name';
/** containerd and modern `docker save` keep the full name here and only the tag in ref.name. */
const FULL_NAME = 'io.containerd.image.name';
/** Indexes nest twice at most in practice (layout, multi-platform); the bound stops a cycle. */
const MAX_DEPTH = 4;

interface Candidate {
  descriptor: Descriptor;
  manifest: ImageManifest;
  config: ImageConfig;
}

/** An OCI image layout folder (image-layout.md). `name` is the reference as the user wrote it, for messages. */
export class OciLayout implements ImageArchive {
  readonly #dir: string;
  readonly #ref: string | undefined;
  readonly #name: string;
  readonly #blobs: LayoutBlobs;
  constructor(dir: string, ref: string | undefined, name: string) {
    this.#dir = dir;
    this.#ref = ref;
    this.#name = name;
    this.#blobs = new LayoutBlobs(dir, name);
  }

  async image(platform: Platform): Promise<Image> {
    const roots = await this.#roots();
    const found = (await Promise.all(roots.map((root) => this.#candidates(root, 0)))).flat();
    const unique = [...new Map(found.map((each) => [each.descriptor.digest, each])).values()];
    const matching = unique.filter(({ config }) => platformOf(config) === platform);
    if (matching.length > 1) return this.#refuse(`${platform} is ambiguous; ${refsHint(roots)}`);
    const [chosen] = matching;
    if (!chosen) {
      const has = unique.map(({ config }) => platformOf(config)).sort();
      return this.#refuse(`it has no ${platform}; it has ${has.join(', ') || 'no image'}`);
    }
    return this.#opened(chosen);
  }

  async close(): Promise<void> {}

  #opened({ descriptor, manifest, config }: Candidate): Image {
    const diffIds = config.rootfs.diff_ids;
    if (manifest.layers.length === 0 || diffIds.length !== manifest.layers.length)
      return this.#refuse(`it has ${manifest.layers.length} layers and ${diffIds.length} diffIDs`);
    const layers = manifest.layers.map((layer, index) => {
      const kind = layerKind(layer.mediaType);
      if (!kind.ok) return this.#refuse(`layer ${index + 1} (${layer.digest.slice(0, 19)}): ${kind.what}`);
      return {
        diffId: hexOf(diffIds[index] ?? ''),
        open: () => this.#blobs.layer(layer, kind.compression),
      };
    });
    return { digest: hexOf(descriptor.digest), config, layers };
  }

  /** index.json's entries that the reference means. */
  async #roots(): Promise<Descriptor[]> {
    const text = await readRegular(join(this.#dir, 'index.json'), DOCUMENT_BYTES).catch((cause: unknown) => {
      throw new ReleaseError(
        'image',
        `Cannot read image ${this.#name}: ${messageOf(cause)}; wanted an OCI image layout folder`,
        { cause },
      );
    });
    const { manifests } = this.#checked('index.json', checkIndex(parseJson(text.toString('utf8'))));
    const images = manifests.filter((entry) => !isAttestation(entry));
    if (this.#ref === undefined) return images;
    const named = images.filter((entry) => namesOf(entry).includes(this.#ref ?? ''));
    if (named.length === 0) return this.#refuse(`it has no ref "${this.#ref}"; ${refsHint(images)}`);
    return named;
  }

  async #candidates(descriptor: Descriptor, depth: number): Promise<Candidate[]> {
    const kind = documentKind(descriptor.mediaType);
    if (kind.kind === 'refused') return this.#refuse(kind.what);
    const document = await this.#blobs.document(descriptor);
    if (kind.kind === 'manifest') return [await this.#candidate(descriptor, document)];
    if (depth >= MAX_DEPTH) return this.#refuse(`its indexes nest deeper than ${MAX_DEPTH}`);
    const { manifests } = this.#checked(descriptor.digest, checkIndex(document));
    const nested = manifests.filter((entry) => !isAttestation(entry) && isLinux(entry));
    return (await Promise.all(nested.map((entry) => this.#candidates(entry, depth + 1)))).flat();
  }

  async #candidate(descriptor: Descriptor, document: unknown): Promise<Candidate> {
    if ((document as { schemaVersion?: unknown } | null)?.schemaVersion === 1)
      return this.#refuse('it is a Docker schema 1 manifest; rebuild or convert the image');
    const manifest = this.#checked(descriptor.digest, checkImageManifest(document));
    if (!isImageConfig(manifest.config.mediaType))
      return this.#refuse(
        `it is an artifact of type "${manifest.artifactType ?? manifest.config.mediaType}" and has no root file system`,
      );
    const config = this.#checked(
      manifest.config.digest,
      checkImageConfig(await this.#blobs.document(manifest.config)),
    );
    return { descriptor, manifest, config };
  }

  #checked<T>(what: string, result: Validated<T>): T {
    return result.ok ? result.value : this.#refuse(`${what}: ${result.faults.join('; ')}`);
  }

  #refuse(what: string): never {
    throw new ReleaseError('image-refused', `Cannot take image ${this.#name}: ${what}`);
  }
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** "linux/arm64": every 64-bit ARM device runs variant v8, so the variant is left out. */
export const platformOf = (config: { os: string; architecture: string }): string =>
  `${config.os}/${config.architecture}`;

const isLinux = ({ platform }: Descriptor): boolean => platform === undefined || platform.os === 'linux';

/** BuildKit stores provenance beside images as manifests of the platform unknown/unknown. */
const isAttestation = ({ annotations, platform }: Descriptor): boolean =>
  annotations?.['vnd.docker.reference.type'] === 'attestation-manifest' ||
  (platform?.os === 'unknown' && platform.architecture === 'unknown');

const namesOf = ({ annotations }: Descriptor): string[] =>
  [annotations?.[REF_NAME], annotations?.[FULL_NAME]].filter((name) => name !== undefined);

function refsHint(entries: Descriptor[]): string {
  const refs = [...new Set(entries.flatMap(namesOf))].sort();
  return refs.length > 0 ? `name one of its refs: ${refs.join(', ')}` : 'none of its entries has a ref';
}
