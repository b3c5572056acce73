import type { FromSchema } from 'json-schema-to-ts';
import { BYTES_PATTERN, DURATION_PATTERN } from './quantities.ts';
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
const strings = { type: 'array', items: { type: 'string' }, maxItems: 256 } as const;
const serviceName = { pattern: '^[a-z][a-z0-9-]{0,31}$' } as const;

const resources = {
  type: 'object',
  additionalProperties: false,
  required: ['memory', 'cpu', 'pids'],
  properties: {
    memory: { type: 'object', additionalProperties: false, required: ['max'], properties: { max: bytes } },
    cpu: {
      type: 'object',
      additionalProperties: false,
      required: ['max'],
      properties: { max: { type: 'number', minimum: 0.01, maximum: 256 } },
    },
    pids: { type: 'integer', minimum: 1, maximum: 32768 },
  },
} as const;

const restart = {
  type: 'object',
  additionalProperties: false,
  properties: {
    policy: { enum: ['always', 'on-failure', 'never'] },
    backoff: {
      type: 'object',
      additionalProperties: false,
      required: ['initial', 'max'],
      properties: { initial: duration, max: duration },
    },
    maxAttempts: { type: 'integer', minimum: 1, maximum: 1000 },
    resetAfter: duration,
  },
} as const;

const service = {
  type: 'object',
  additionalProperties: false,
  required: ['image', 'resources'],
  properties: {
    /** `oci:<folder>[:<ref>]` or `docker-archive:<file>[:<tag>]`, relative to release.yaml. */
    image: { type: 'string', minLength: 1 },
    entrypoint: strings,
    command: strings,
    environment: { type: 'object', additionalProperties: { type: 'string' }, maxProperties: 256 },
    /** `uid`, `uid:gid`, or names that the image's own /etc/passwd and /etc/group know. */
    user: {
      type: 'string',
      pattern: '^[A-Za-z0-9_.-]+(?::[A-Za-z0-9_.-]+)?$',
      description: 'uid[:gid] or name[:group]',
    },
    workingDir: { type: 'string', pattern: '^/', description: 'an absolute path' },
    restart,
    stop: {
      type: 'object',
      additionalProperties: false,
      properties: {
        signal: { enum: ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] },
        grace: duration,
      },
    },
    resources,
    network: { enum: ['none', 'host'] },
    security: {
      type: 'object',
      additionalProperties: false,
      properties: {
        readOnlyRoot: { type: 'boolean' },
        capabilities: {
          type: 'array',
          items: {
            type: 'string',
            pattern: '^CAP_[A-Z_]+$',
            description: 'a capability such as CAP_NET_RAW',
          },
          uniqueItems: true,
          maxItems: 41,
        },
        allowRoot: { type: 'boolean' },
      },
    },
    mounts: {
      type: 'array',
      maxItems: 32,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['volume', 'path'],
        properties: {
          volume: { type: 'string' },
          path: { type: 'string', pattern: '^/', description: 'an absolute path' },
          readOnly: { type: 'boolean' },
        },
      },
    },
  },
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
      propertyNames: serviceName,
      additionalProperties: service,
      minProperties: 1,
      maxProperties: 64,
    },
    /** Sized tmpfs folders that services share. */
    volumes: {
      type: 'object',
      propertyNames: serviceName,
      maxProperties: 64,
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['size'],
        properties: { size: bytes },
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
