import type { FromSchema } from 'json-schema-to-ts';
import { validator } from '../../protocol/validate.ts';

/** The parts of OCI image-spec v1.1 documents that are read here. Open schemas: unknown fields are others' business. */
const digest = {
  type: 'string',
  pattern: '^sha256:[0-9a-f]{64}$',
  description: 'sha256:<64 hex digits>',
} as const;
const strings = { type: 'array', items: { type: 'string' } } as const;

const descriptor = {
  type: 'object',
  required: ['mediaType', 'digest', 'size'],
  properties: {
    mediaType: { type: 'string' },
    digest,
    size: { type: 'integer', minimum: 0 },
    annotations: { type: 'object', additionalProperties: { type: 'string' } },
    platform: {
      type: 'object',
      required: ['os', 'architecture'],
      properties: {
        os: { type: 'string' },
        architecture: { type: 'string' },
        variant: { type: 'string' },
      },
    },
  },
} as const;

const indexSchema = {
  type: 'object',
  required: ['manifests'],
  properties: { manifests: { type: 'array', items: descriptor, maxItems: 1024 } },
} as const;

const manifestSchema = {
  type: 'object',
  required: ['config', 'layers'],
  properties: {
    config: descriptor,
    layers: { type: 'array', items: descriptor },
    artifactType: { type: 'string' },
  },
} as const;

const nullableStrings = { anyOf: [strings, { type: 'null' }] } as const;
const configSchema = {
  type: 'object',
  required: ['os', 'architecture', 'rootfs'],
  properties: {
    os: { type: 'string' },
    architecture: { type: 'string' },
    rootfs: {
      type: 'object',
      required: ['type', 'diff_ids'],
      properties: { type: { const: 'layers' }, diff_ids: { type: 'array', items: digest } },
    },
    config: {
      type: ['object', 'null'],
      properties: {
        Entrypoint: nullableStrings,
        Cmd: nullableStrings,
        Env: nullableStrings,
        WorkingDir: { type: 'string' },
        User: { type: 'string' },
        StopSignal: { type: 'string' },
      },
    },
  },
} as const;

const dockerArchiveSchema = {
  type: 'array',
  minItems: 1,
  items: {
    type: 'object',
    required: ['Config', 'Layers'],
    properties: { Config: { type: 'string' }, RepoTags: nullableStrings, Layers: strings },
  },
} as const;

export type Descriptor = FromSchema<typeof descriptor>;
export type ImageManifest = FromSchema<typeof manifestSchema>;
export type ImageConfig = FromSchema<typeof configSchema>;

export const checkIndex = validator<FromSchema<typeof indexSchema>>(indexSchema);
export const checkImageManifest = validator<ImageManifest>(manifestSchema);
export const checkImageConfig = validator<ImageConfig>(configSchema);
export const checkDockerArchive = validator<FromSchema<typeof dockerArchiveSchema>>(dockerArchiveSchema);
