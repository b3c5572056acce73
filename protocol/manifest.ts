import type { FromSchema } from 'json-schema-to-ts';
import { CHANNEL_LIMITS, channelFaults, manifestChannelSchema } from './channels.ts';
import { LIMITS } from './limits.ts';
import { agentImagesSchema } from './manifest-image.ts';
import { manifestServiceSchema } from './manifest-service.ts';
import { manifestSystemSchema, systemFaults } from './manifest-system.ts';
import { type Validated, validator } from './validate.ts';

/**
 * `manifest.json`: a built release. It is the TUF target; its sha256 covers every image by digest, so nothing
 * else of a release needs a signature. Plain numbers (bytes, ms, cores, bits a second). What came after the first
 * release of this format is optional: absent = not asked for, so an old manifest means what it always meant.
 */
const integer = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;
const name = { pattern: '^[a-z][a-z0-9-]{0,31}$' } as const;

export const manifestSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['v', 'name', 'version', 'boards', 'services', 'volumes', 'policy'],
  properties: {
    v: { const: 1 },
    name: { type: 'string', pattern: '^[a-z][a-z0-9-]{0,62}$' },
    version: { type: 'string', pattern: '^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$' },
    description: { type: 'string', maxLength: 500 },
    boards: { type: 'array', items: { type: 'string' }, minItems: 1, uniqueItems: true, maxItems: 64 },
    services: {
      type: 'object',
      propertyNames: name,
      additionalProperties: manifestServiceSchema,
      minProperties: 1,
      maxProperties: LIMITS.services,
    },
    /** The agent that is to run the release. Absent = whichever runs. */
    agent: {
      type: 'object',
      additionalProperties: false,
      required: ['version', 'images'],
      properties: {
        version: { type: 'string', pattern: '^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$' },
        images: agentImagesSchema,
      },
    },
    /** What the boards themselves are to run. Absent = whatever they run. */
    system: manifestSystemSchema,
    volumes: {
      type: 'object',
      propertyNames: name,
      maxProperties: 64,
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['sizeBytes', 'gid'],
        properties: {
          sizeBytes: { ...integer, minimum: 4096 },
          gid: { ...integer, maximum: 4294967294 },
          backing: { const: 'disk' },
        },
      },
    },
    networks: {
      type: 'object',
      propertyNames: name,
      maxProperties: 32,
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        properties: { internal: { const: true } },
      },
    },
    /** Shared memory between services; which of them may, and only those, see it. */
    channels: {
      type: 'object',
      propertyNames: name,
      minProperties: 1,
      maxProperties: CHANNEL_LIMITS.channels,
      additionalProperties: manifestChannelSchema,
    },
    policy: {
      type: 'object',
      additionalProperties: false,
      required: ['soakMs'],
      properties: { soakMs: integer },
    },
  },
} as const;

export type Manifest = FromSchema<typeof manifestSchema>;
export type ManifestService = Manifest['services'][string];
export type ManifestImage = NonNullable<ManifestService['images'][string]>;
export type ManifestLayer = ManifestImage['layers'][number];
export const PLATFORMS = ['linux/amd64', 'linux/arm64'] as const;
export type Platform = (typeof PLATFORMS)[number];

export type ManifestAgent = NonNullable<Manifest['agent']>;

export type ManifestBlob = Pick<ManifestLayer, 'verity' | 'size'>;

/** Layers of every image that a release brings for a platform, or for all. */
export function layersIn(manifest: Manifest, platform?: Platform): ManifestLayer[] {
  const holders = [...Object.values(manifest.services), ...(manifest.agent ? [manifest.agent] : [])];
  return holders.flatMap(({ images }) =>
    (platform ? [images[platform]] : Object.values(images)).flatMap((image) => image?.layers ?? []),
  );
}

/** Which devices are meant. */
export interface Receiver {
  platform: Platform;
  /** Undefined: of no board, so that no system is for it. */
  board: string | undefined;
}

export type BoardSystem = NonNullable<Manifest['system']>['boards'][string];

/** What a slot of a board is to hold; undefined: the release brings no system for it. */
export const systemFor = ({ system }: Manifest, board: string): BoardSystem | undefined =>
  system && Object.hasOwn(system.boards, board) ? system.boards[board] : undefined;

/** Everything that a release brings for a device, or for all: what is stored, fetched and pinned. */
export function blobsIn(manifest: Manifest, receiver?: Receiver): ManifestBlob[] {
  const { platform, board } = receiver ?? {};
  const own = board === undefined ? undefined : systemFor(manifest, board);
  const slots = receiver === undefined ? Object.values(manifest.system?.boards ?? {}) : own ? [own] : [];
  return [...layersIn(manifest, platform), ...slots.flatMap(({ boot, root }) => [boot, root])];
}

const checkSchema = validator<Manifest>(manifestSchema);

/** The schema, and of channels and systems what a schema cannot say. */
export function checkManifest(document: unknown): Validated<Manifest> {
  const checked = checkSchema(document);
  if (!checked.ok) return checked;
  const { channels, services, system, boards } = checked.value;
  const faults = [
    ...(channels === undefined ? [] : channelFaults(channels, services)),
    ...(system === undefined ? [] : systemFaults(system, boards)),
  ];
  return faults.length > 0 ? { ok: false, faults } : checked;
}

/** TUF target path of a release. */
export const targetPath = (name: string, version: string): string =>
  `releases/${name}/${version}/manifest.json`;
