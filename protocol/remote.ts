import type { FromSchema } from 'json-schema-to-ts';
import { reasonSchema as reason } from './reason-schema.ts';
import { REMOTE_ACTIONS, REMOTE_LIMITS } from './remote-actions.ts';
import { validator } from './validate.ts';

/** What the server asks of a device for somebody who looks on, and what comes back. ADR 25. */
const integer = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;
const name = { type: 'string', minLength: 1, maxLength: 64 } as const;
const v = { const: 1 } as const;
const hex32 = { type: 'string', pattern: '^[0-9a-f]{32}$', description: '16 random bytes, hex' } as const;
const base64 = {
  type: 'string',
  pattern: '^[A-Za-z0-9+/]*={0,2}$',
  description: 'base64',
} as const;
const side = { type: 'integer', minimum: 1, maximum: 1000 } as const;
const size = {
  type: 'object',
  additionalProperties: false,
  required: ['columns', 'rows'],
  properties: { columns: side, rows: side },
} as const;

/** up/abilities: what this device lets its server ask for. Sent where the server granted dn/ask, once a session. */
export const abilitiesSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['v', 'session', 'at', 'actions'],
  properties: {
    v,
    /** New with each control session: what was asked in one before is never carried out. */
    session: hex32,
    /** The device's own clock, right or wrong. */
    at: integer,
    /** Those that its configuration leaves on; a later device may know more of them. */
    actions: { type: 'array', maxItems: 32, items: { type: 'string', pattern: '^[a-z-]{1,32}$' } },
  },
} as const;
export type Abilities = FromSchema<typeof abilitiesSchema>;

/** dn/ask: one wish. QoS 0: one that is lost is told to whoever waits, and is not sent again. */
export const askSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['v', 'id', 'session', 'expiresAt', 'by', 'action', 'lifeMs'],
  properties: {
    v,
    id: hex32,
    session: hex32,
    /** By the device's clock, as the server knows it. */
    expiresAt: integer,
    /** The user of the server. */
    by: { type: 'string', pattern: '^[\\x20-\\x7e]{1,64}$', description: '1 to 64 printable characters' },
    action: { enum: REMOTE_ACTIONS },
    /** The answer ends after this at the latest. */
    lifeMs: { type: 'integer', minimum: 1, maximum: REMOTE_LIMITS.execMs },
    service: name,
    logs: {
      type: 'object',
      additionalProperties: false,
      required: ['tail', 'follow'],
      properties: {
        tail: { type: 'integer', minimum: 0, maximum: 10_000 },
        follow: { type: 'boolean' },
      },
    },
    exec: {
      type: 'object',
      additionalProperties: false,
      required: ['argv'],
      properties: {
        argv: { type: 'array', minItems: 1, maxItems: 64, items: { type: 'string', maxLength: 4096 } },
        terminal: size,
      },
    },
  },
} as const;
export type Ask = FromSchema<typeof askSchema>;

/** dn/more: about an ask that is being answered. */
export const moreSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['v', 'id'],
  properties: {
    v,
    id: hex32,
    /** So many bytes of answers more than before. */
    credit: { type: 'integer', minimum: 1, maximum: REMOTE_LIMITS.creditBytes },
    /** What somebody typed. */
    input: { ...base64, maxLength: 4 * Math.ceil(REMOTE_LIMITS.inputBytes / 3) },
    /** Nothing more will be typed. */
    endInput: { const: true },
    resize: size,
    /** Nobody waits for it any more. */
    end: { const: true },
  },
} as const;
export type More = FromSchema<typeof moreSchema>;

/** Why an answer ended. `done` alone is a success. */
export const ANSWER_ENDS = [
  'done',
  'off',
  'stale',
  'busy',
  'unknown-service',
  'refused',
  'unsupported',
  'over',
  'failed',
] as const;
export type AnswerEnd = (typeof ANSWER_ENDS)[number];

/** up/answer, on the bulk session. The first one, number 0, comes when the answer has begun, or says why it has not. */
export const answerSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['v', 'id', 'sequence'],
  properties: {
    v,
    id: hex32,
    /** From 0, without a gap. */
    sequence: integer,
    lines: {
      type: 'array',
      maxItems: 1024,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['at', 'stream', 'text'],
        properties: {
          at: integer,
          stream: { enum: ['stdout', 'stderr'] },
          text: { type: 'string', maxLength: 4096 },
        },
      },
    },
    /** Of a bundle, or of what a program wrote. */
    data: { ...base64, maxLength: 4 * Math.ceil(REMOTE_LIMITS.pieceBytes / 3) },
    stream: { enum: ['stdout', 'stderr'] },
    why: {
      type: 'object',
      additionalProperties: false,
      required: ['service', 'reasons'],
      properties: {
        service: name,
        state: name,
        since: integer,
        reasons: { type: 'array', maxItems: 8, items: reason },
      },
    },
    /** The last one. */
    end: {
      type: 'object',
      additionalProperties: false,
      required: ['code', 'message'],
      properties: {
        code: { enum: ANSWER_ENDS },
        message: { type: 'string', maxLength: 1024 },
        /** Of a program that ended by itself. */
        exitCode: { type: 'integer', minimum: 0, maximum: 255 },
      },
    },
  },
} as const;
export type Answer = FromSchema<typeof answerSchema>;

export const checkAbilities = validator<Abilities>(abilitiesSchema);
export const checkAsk = validator<Ask>(askSchema);
export const checkMore = validator<More>(moreSchema);
export const checkAnswer = validator<Answer>(answerSchema);
