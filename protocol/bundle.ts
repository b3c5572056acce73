import type { FromSchema } from 'json-schema-to-ts';
import { validator } from './validate.ts';

/**
 * `bundle.json` of an offline bundle: a folder that holds it beside objects by their names (objects.ts). It is a
 * table of contents and nothing more: what counts is signed in the objects. Blobs that the receivers are known to hold
 * may be left out; a device that lacks them asks the fleet server.
 */
export const BUNDLE_FILE = 'bundle.json';
export const BUNDLE_BYTES = 64 * 1024;

export const bundleSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['v', 'release', 'madeAt', 'expiresAt'],
  properties: {
    v: { const: 1 },
    release: {
      type: 'object',
      additionalProperties: false,
      required: ['name', 'version', 'manifest'],
      properties: {
        name: { type: 'string', minLength: 1, maxLength: 63 },
        version: { type: 'string', minLength: 1, maxLength: 64 },
        manifest: { type: 'string', pattern: '^[0-9a-f]{64}$', description: 'the sha256 of the manifest' },
      },
    },
    /** Unix ms. */
    madeAt: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
    /** When a device without a network stops taking it, as its timestamp says. Unix ms. */
    expiresAt: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
    /** Releases whose blobs are left out; absent when everything is in it. */
    against: {
      type: 'array',
      maxItems: 16,
      items: { type: 'string', maxLength: 130, description: '<name> <version>' },
    },
  },
} as const;
export type Bundle = FromSchema<typeof bundleSchema>;
export const checkBundle = validator<Bundle>(bundleSchema);
