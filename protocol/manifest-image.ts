import { LIMITS } from './limits.ts';

const sha256 = { type: 'string', pattern: '^[0-9a-f]{64}$', description: '64 hex digits' } as const;
/** Of any field of a manifest. */
export const integer = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;
export const strings = { type: 'array', items: { type: 'string' }, maxItems: 512 } as const;

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

/** By platform, an OCI image with the Wherry agent in it. It runs on the device itself, not in a container. */
export const agentImagesSchema = {
  type: 'object',
  propertyNames: { enum: ['linux/amd64', 'linux/arm64'] },
  minProperties: 1,
  additionalProperties: {
    type: 'object',
    additionalProperties: false,
    required: ['manifestDigest', 'layers'],
    properties: {
      manifestDigest: sha256,
      layers: { type: 'array', items: layer, minItems: 1, maxItems: LIMITS.layersPerImage },
    },
  },
} as const;

/** The image of a service. */
export const image = {
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
