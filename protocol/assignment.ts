import type { KeyObject } from 'node:crypto';
import type { FromSchema } from 'json-schema-to-ts';
import { followKeyChanges, type KeyChange, keyChangesSchema } from './fleet-key.ts';
import { isSignedBy, signatureSchema, signText } from './signed-text.ts';
import { updatePolicySchema } from './update-policy.ts';
import { validator } from './validate.ts';

/**
 * dn/desired: what one device should run, signed by the server's online fleet key (ed25519).
 * `payload` is the exact JSON text that was signed, so no canonical form is needed.
 */
export const envelopeSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['v', 'payload', 'signature'],
  properties: {
    v: { const: 1 },
    payload: { type: 'string', maxLength: 16_384 },
    signature: signatureSchema,
    /** How the fleet key came to be the one that signed, oldest change first; absent while it is the first one. */
    keys: keyChangesSchema,
  },
} as const;
export type AssignmentEnvelope = FromSchema<typeof envelopeSchema>;

const integer = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;

export const assignmentSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['type', 'v', 'device', 'board', 'generation', 'release', 'issuedAt', 'expiresAt'],
  properties: {
    type: { const: 'assignment' },
    v: { const: 1 },
    device: { type: 'string', maxLength: 63 },
    board: { type: 'string', maxLength: 63 },
    /** Rises with every change of intent for the device; an older one is refused. */
    generation: { ...integer, minimum: 1 },
    release: {
      type: 'object',
      additionalProperties: false,
      required: ['name', 'version', 'manifest'],
      properties: {
        name: { type: 'string', maxLength: 63 },
        version: { type: 'string', maxLength: 64 },
        /** sha256 of the manifest, hex: must equal what the signed targets say. */
        manifest: { type: 'string', pattern: '^[0-9a-f]{64}$' },
      },
    },
    /** When and how the device may switch to it; absent = at once. */
    policy: updatePolicySchema,
    issuedAt: integer,
    expiresAt: integer,
  },
} as const;
export type Assignment = FromSchema<typeof assignmentSchema>;

const checkEnvelope = validator<AssignmentEnvelope>(envelopeSchema);
const checkAssignment = validator<Assignment>(assignmentSchema);

export function signAssignment(
  assignment: Assignment,
  fleetKey: KeyObject,
  changes: readonly KeyChange[] = [],
): AssignmentEnvelope {
  const payload = JSON.stringify(assignment);
  const signature = signText(payload, fleetKey);
  return { v: 1, payload, signature, ...(changes.length > 0 && { keys: [...changes] }) };
}

export type OpenedAssignment =
  /** `fleetKey`: what the device is to trust from now on, SPKI PEM. */
  | { ok: true; assignment: Assignment; fleetKey: string }
  | { ok: false; code: 'refused.assignment-malformed' | 'refused.assignment-signature'; message: string };

/** Checks form and signature; nothing of the payload is used before its signature holds. `trusted` is SPKI PEM. */
export function openAssignment(document: unknown, trusted: string): OpenedAssignment {
  const envelope = checkEnvelope(document);
  if (!envelope.ok) return malformed(envelope.faults);
  const { payload, signature, keys = [] } = envelope.value;
  const fleetKey = followKeyChanges(trusted, keys);
  if (!isSignedBy(payload, signature, fleetKey)) {
    return {
      ok: false,
      code: 'refused.assignment-signature',
      message:
        'Cannot accept assignment: its signature is not by the fleet key that this device learned at enrolment, nor by one that followed it',
    };
  }
  const assignment = checkAssignment(parseJson(payload));
  return assignment.ok ? { ok: true, assignment: assignment.value, fleetKey } : malformed(assignment.faults);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const malformed = (faults: string[]): OpenedAssignment => ({
  ok: false,
  code: 'refused.assignment-malformed',
  message: `Cannot accept assignment: ${faults.join('; ')}`,
});
