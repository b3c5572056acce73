import type { FromSchema } from 'json-schema-to-ts';
import { CHANNEL_LIMITS, CHANNEL_MODES } from './channels.ts';
import { BYTES_PATTERN, DURATION_PATTERN } from './quantities.ts';
import { SERVICE_NAME, sourceServiceSchema } from './source-service.ts';
import { validator } from './validate.ts';

/**
 * `release.yaml`: what a person writes. A small closed schema with compose's words where they mean the same.
 * `wherry release build` turns it into a manifest (manifest.ts), which is what is signed and what travels.
 */
const bytes = { type: 'string', pattern: BYTES_PATTERN, description: 'a size such as 64MiB' } as const;
const duration = {
  type: 'string',
  pattern: DURATION_PATTERN,
  description: 'a duration such as 10s',
} as const;

const peers = {
  type: 'array',
  items: { type: 'string' },
  minItems: 1,
  maxItems: CHANNEL_LIMITS.peers,
} as const;

export const releaseSourceSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['name', 'version', 'boards', 'services'],
  properties: {
    name: {
      type: 'string',
      pattern: '^[a-z][a-z0-9-]{0,62}$',
      description: 'lower-case letters, digits and "-"',
    },
    version: {
      type: 'string',
      pattern: '^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$',
      description: 'a version such as 1.2.0',
    },
    description: { type: 'string', maxLength: 500 },
    boards: { type: 'array', items: { type: 'string' }, minItems: 1, uniqueItems: true, maxItems: 64 },
    services: {
      type: 'object',
      propertyNames: SERVICE_NAME,
      additionalProperties: sourceServiceSchema,
      minProperties: 1,
      maxProperties: 64,
    },
    /** The agent that is to run the release: an image as for a service, and the version it says it is. */
    agent: {
      type: 'object',
      additionalProperties: false,
      required: ['image', 'version'],
      properties: {
        image: { type: 'string', minLength: 1 },
        version: {
          type: 'string',
          pattern: '^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$',
          description: 'a version such as 1.2.0',
        },
      },
    },
    /** What the boards themselves are to run, by board a folder that `wherry board build` has left. */
    system: {
      type: 'object',
      additionalProperties: false,
      required: ['version', 'boards'],
      properties: {
        version: {
          type: 'string',
          pattern: '^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$',
          description: 'a version such as 1.2.0',
        },
        boards: {
          type: 'object',
          propertyNames: { pattern: '^[a-z][a-z0-9-]{0,62}$' },
          minProperties: 1,
          maxProperties: 64,
          additionalProperties: { type: 'string', minLength: 1 },
        },
      },
    },
    /** Segments: services on different ones do not reach each other. */
    networks: {
      type: 'object',
      propertyNames: SERVICE_NAME,
      maxProperties: 32,
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        /** `internal`: no way out of the device. */
        properties: { internal: { type: 'boolean' } },
      },
    },
    /** Sized folders that services share: in memory, or on the disk, where they outlive the release. */
    volumes: {
      type: 'object',
      propertyNames: SERVICE_NAME,
      maxProperties: 64,
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['size'],
        properties: { size: bytes, backing: { enum: ['memory', 'disk'] } },
      },
    },
    /** Shared memory between services: only those named here see it, and only publishers may write to it. */
    channels: {
      type: 'object',
      propertyNames: SERVICE_NAME,
      maxProperties: CHANNEL_LIMITS.channels,
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['publishers', 'subscribers', 'slotSize'],
        properties: {
          publishers: peers,
          subscribers: peers,
          /** The largest message, at most 16MiB. */
          slotSize: bytes,
          /** Messages that are kept for each publisher: a power of two from 2 to 65536; 8 unless said. */
          depth: { type: 'integer' },
          /** What becomes of messages that a subscriber is too slow for; lossy unless said. */
          mode: { enum: CHANNEL_MODES },
        },
      },
    },
    policy: {
      type: 'object',
      additionalProperties: false,
      properties: {
        /** How long every service must stay up before the release is committed. */
        soak: duration,
      },
    },
  },
} as const;

export type ReleaseSource = FromSchema<typeof releaseSourceSchema>;
export const checkReleaseSource = validator<ReleaseSource>(releaseSourceSchema);
