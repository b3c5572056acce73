import type { FromSchema } from 'json-schema-to-ts';

/**
 * How a device may take a release: part of the signed assignment, so that nobody in between can hurry or hold it.
 * What is left out asks for nothing: an empty policy switches as soon as everything is verified.
 */
export const updatePolicySchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    /** The device switches only while one of these is open. */
    windows: {
      type: 'array',
      minItems: 1,
      maxItems: 16,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['schedule', 'minutes'],
        properties: {
          /** Five cron fields in the device's local time: when the window opens. */
          schedule: {
            type: 'string',
            maxLength: 100,
            pattern: '^[0-9A-Za-z*/,-]+( [0-9A-Za-z*/,-]+){4}$',
            description: 'five cron fields, such as "0 2 * * 6"',
          },
          /** How long it stays open. */
          minutes: { type: 'integer', minimum: 1, maximum: 10_080 },
        },
      },
    },
    /** From acceptance; after it neither a window nor a lease holds the switch any longer. In ms. */
    maxDeferralMs: { type: 'integer', minimum: 0, maximum: 90 * 86_400_000 },
    /** Somebody at the device says yes before the switch. */
    consent: { const: 'required' },
    /** Fetch nothing while the link is metered. */
    metered: { const: 'wait' },
    /** Switch only on external power. */
    power: { const: 'external' },
    /** Commit also when the server cannot be reached any more since the switch. */
    commitOffline: { const: true },
    /** Overrides windows, leases, metered links and a deferral by hand. Who said so, for the records of the device. */
    urgent: {
      type: 'object',
      additionalProperties: false,
      required: ['by'],
      properties: { by: { type: 'string', minLength: 1, maxLength: 64 } },
    },
  },
} as const;

export type UpdatePolicy = FromSchema<typeof updatePolicySchema>;
