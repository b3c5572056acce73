import type { FromSchema } from 'json-schema-to-ts';
import { LIMITS } from './limits.ts';
import { validator } from './validate.ts';

/**
 * `manifest.json`: a built release. It is the TUF target; its sha256 covers every image by digest, so nothing
 * else of a release needs a signature. Plain numbers (bytes, ms, cores), everything resolved, no defaults left.
 */
const sha256 = { type: 'string', pattern: '^[0-9a-f]{64}$', description: '64 hex digits' } as const;
const integer = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;
const strings = { type: 'array', items: { type: 'string' }, maxItems: 512 } as const;
const name = { pattern: '^[a-z][a-z0-9-]{0,31}$' } as const;

const layer = {
  type: 'object',
  additionalProperties: false,
  required: ['verity', 'size', 'diffId'],
  properties: {
    /** fs-verity digest (SHA-256, 4 KiB blocks, no salt) of the EROFS blob, hex. The blob's name everywhere. */
    verity: sha256,
    /** EROFS blob size in bytes. */
    size: { ...integer, minimum: 4096, maximum: LIMITS.blobBytes },
    /** OCI diffID: sha256 of the uncompressed layer tar, hex. */
    diffId: sha256,
  },
} as const;

const image = {
  type: 'object',
  additionalProperties: false,
  required: ['manifestDigest', 'layers', 'args', 'environment', 'workingDir', 'uid', 'gid'],
  properties: {
    /** sha256 of the OCI image manifest this was converted from, hex. */
    manifestDigest: sha256,
    /** Lowest layer first. */
    layers: { type: 'array', items: layer, minItems: 1, maxItems: LIMITS.layersPerImage },
    args: { ...strings, minItems: 1 },
    environment: { type: 'object', additionalProperties: { type: 'string' }, maxProperties: 512 },
    workingDir: { type: 'string', pattern: '^/' },
    uid: { ...integer, maximum: 4294967294 },
    gid: { ...integer, maximum: 4294967294 },
  },
} as const;

const service = {
  type: 'object',
  additionalProperties: false,
  required: ['images', 'resources', 'restart', 'stop', 'network', 'security', 'mounts'],
  properties: {
    /** By platform, "linux/amd64" or "linux/arm64". Arguments, environment and user are merged in already. */
    images: {
      type: 'object',
      propertyNames: { enum: ['linux/amd64', 'linux/arm64'] },
      additionalProperties: image,
      minProperties: 1,
    },
    resources: {
      type: 'object',
      additionalProperties: false,
      required: ['memoryMaxBytes', 'cpuMax', 'pidsMax'],
      properties: {
        memoryMaxBytes: { ...integer, minimum: 1024 * 1024 },
        /** Cores; 0.5 is half a core. */
        cpuMax: { type: 'number', minimum: 0.01, maximum: 256 },
        pidsMax: { ...integer, minimum: 1, maximum: 32768 },
      },
    },
    restart: {
      type: 'object',
      additionalProperties: false,
      required: ['policy', 'backoffInitialMs', 'backoffMaxMs', 'maxAttempts', 'resetAfterMs'],
      properties: {
        policy: { enum: ['always', 'on-failure', 'never'] },
        backoffInitialMs: { ...integer, minimum: 100 },
        backoffMaxMs: { ...integer, minimum: 100 },
        /** Consecutive failed starts before the service is given up; 0 = never. */
        maxAttempts: integer,
        /** Up for this long = healthy again: the attempt counter starts anew. */
        resetAfterMs: integer,
      },
    },
    stop: {
      type: 'object',
      additionalProperties: false,
      required: ['signal', 'graceMs'],
      properties: { signal: { type: 'string', pattern: '^SIG[A-Z0-9]+$' }, graceMs: integer },
    },
    network: { enum: ['none', 'host'] },
    security: {
      type: 'object',
      additionalProperties: false,
      required: ['readOnlyRoot', 'capabilities'],
      properties: { readOnlyRoot: { type: 'boolean' }, capabilities: strings },
    },
    mounts: {
      type: 'array',
      maxItems: 32,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['volume', 'path', 'readOnly'],
        properties: {
          volume: { type: 'string' },
          path: { type: 'string', pattern: '^/' },
          readOnly: { type: 'boolean' },
        },
      },
    },
  },
} as const;

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
      additionalProperties: service,
      minProperties: 1,
      maxProperties: LIMITS.services,
    },
    volumes: {
      type: 'object',
      propertyNames: name,
      maxProperties: 64,
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['sizeBytes', 'gid'],
        properties: { sizeBytes: { ...integer, minimum: 4096 }, gid: { ...integer, maximum: 4294967294 } },
      },
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
export type Platform = 'linux/amd64' | 'linux/arm64';

export const checkManifest = validator<Manifest>(manifestSchema);

/** TUF target path of a release. */
export const targetPath = (name: string, version: string): string =>
  `releases/${name}/${version}/manifest.json`;
