import type { KeyObject } from 'node:crypto';
import type { FromSchema } from 'json-schema-to-ts';
import { isSignedBy, signatureSchema, signText } from './signed-text.ts';
import { validator } from './validate.ts';

/** up/time: a device without a clock that it can trust asks the server for the time. */
export const timeRequestSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['v', 'nonce'],
  properties: {
    v: { const: 1 },
    /** Random, used once: an answer that somebody kept fits no later question. */
    nonce: { type: 'string', pattern: '^[0-9a-f]{32}$', description: '16 random bytes, hex' },
  },
} as const;
export type TimeRequest = FromSchema<typeof timeRequestSchema>;

/** dn/time: the answer, signed by the fleet key. `payload` is the exact JSON text that was signed. */
export const timeAnswerSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['v', 'payload', 'signature'],
  properties: {
    v: { const: 1 },
    payload: { type: 'string', maxLength: 512 },
    signature: signatureSchema,
  },
} as const;
export type TimeAnswer = FromSchema<typeof timeAnswerSchema>;

const payloadSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['type', 'v', 'device', 'nonce', 'at'],
  properties: {
    type: { const: 'time' },
    v: { const: 1 },
    device: { type: 'string', maxLength: 63 },
    nonce: timeRequestSchema.properties.nonce,
    /** Unix ms. */
    at: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
  },
} as const;
type Payload = FromSchema<typeof payloadSchema>;

export const checkTimeRequest = validator<TimeRequest>(timeRequestSchema);
const checkAnswer = validator<TimeAnswer>(timeAnswerSchema);
const checkPayload = validator<Payload>(payloadSchema);

export function signTime(device: string, nonce: string, at: number, fleetKey: KeyObject): TimeAnswer {
  const payload = JSON.stringify({ type: 'time', v: 1, device, nonce, at } satisfies Payload);
  return { v: 1, payload, signature: signText(payload, fleetKey) };
}

/** Unix ms; undefined for an answer to another question, to another device, or not by the fleet key (SPKI PEM). */
export function openTime(
  document: unknown,
  asked: { device: string; nonce: string },
  fleetKey: string,
): number | undefined {
  const answer = checkAnswer(document);
  if (!answer.ok) return undefined;
  const { payload, signature } = answer.value;
  if (!isSignedBy(payload, signature, fleetKey)) return undefined;
  const body = checkPayload(JSON.parse(payload));
  if (!body.ok || body.value.device !== asked.device || body.value.nonce !== asked.nonce) return undefined;
  return body.value.at;
}
