import type { FromSchema } from 'json-schema-to-ts';
import { LIMITS } from '../limits.ts';
import { validator } from '../validate.ts';

/**
 * What a source answers to "I want this blob and hold these": the object `offer-<new digest>[-<old>…]`, each old one
 * by the first 16 hex digits of its digest. It is made when it is asked for, so nothing may keep it.
 */
export const MOST_CANDIDATES = 3;
export const CANDIDATE_DIGITS = 16;
export const MOST_OFFER_BYTES = 1024;
/** Smaller blobs are fetched as they are: an offer would cost about as much. */
export const LEAST_OFFERED_BYTES = 128 * 1024;

/** Of what the compressed blob takes: a delta that saves less is not worth reading an old blob for. */
const WORTH = 0.7;
export const isWorthIt = (bytes: number, plainBytes: number): boolean => bytes <= plainBytes * WORTH;

const NAME = /^offer-([0-9a-f]{64})((?:-[0-9a-f]{16}){0,3})$/;

export const offerObject = (digest: string, candidates: readonly string[]): string =>
  ['offer', digest, ...candidates.map((old) => old.slice(0, CANDIDATE_DIGITS))].join('-');
export const deltaObject = (sha256: string): string => `delta-${sha256}`;

export function parseOfferName(name: string): { digest: string; candidates: string[] } | undefined {
  const [, digest, rest] = NAME.exec(name) ?? [];
  if (digest === undefined) return undefined;
  return { digest, candidates: rest ? rest.slice(1).split('-') : [] };
}

const digest = { type: 'string', pattern: '^[0-9a-f]{64}$' } as const;
const integer = { type: 'integer', minimum: 0 } as const;
const v = { const: 1 } as const;

export const offerSchema = {
  oneOf: [
    {
      type: 'object',
      additionalProperties: false,
      required: ['v', 'state', 'delta', 'bytes'],
      properties: {
        v,
        state: { const: 'ready' },
        /** sha256 of the delta: its object is `delta-<sha256>`. Another delta of the same blobs has another name. */
        delta: digest,
        bytes: { ...integer, maximum: LIMITS.blobBytes },
        /** The blob it is applied to; absent when it needs none. */
        old: digest,
      },
    },
    {
      type: 'object',
      additionalProperties: false,
      required: ['v', 'state', 'retryAfterMs'],
      properties: { v, state: { const: 'building' }, retryAfterMs: { ...integer, maximum: 60_000 } },
    },
    {
      type: 'object',
      additionalProperties: false,
      required: ['v', 'state'],
      properties: { v, /** The whole blob is the best there is. */ state: { const: 'none' } },
    },
  ],
} as const;

export type DeltaOffer = FromSchema<typeof offerSchema>;
export type ReadyOffer = Extract<DeltaOffer, { state: 'ready' }>;
export const checkOffer = validator<DeltaOffer>(offerSchema);
