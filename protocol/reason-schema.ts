import { CAUSES_KEPT, REASONS, type ReasonCode } from './reasons.ts';

const integer = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;
const text = { type: 'string', maxLength: 1024 } as const;

export const reasonCode = { enum: Object.keys(REASONS) as ReasonCode[] } as const;
/** A reason with what led to it, on the wire. */
export const reasonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['code', 'message', 'at'],
  properties: {
    code: reasonCode,
    message: text,
    at: integer,
    /** What led to it, nearest first. */
    causes: {
      type: 'array',
      maxItems: CAUSES_KEPT,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['code', 'message', 'at'],
        properties: { code: reasonCode, message: text, at: integer },
      },
    },
  },
} as const;
