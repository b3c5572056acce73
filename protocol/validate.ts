import { Ajv } from 'ajv';
import { type Validated, validated } from './validated.ts';

export type { Validated } from './validated.ts';

/** How every schema is compiled: here when it is first used, in the agent's bundle when that is built. */
export const AJV_OPTIONS = { allErrors: true, allowUnionTypes: true, strict: true } as const;

const ajv = new Ajv(AJV_OPTIONS);

/**
 * Compiles a closed JSON Schema to a checker. Unknown fields are faults, never ignored. Types come from the same schema
 * (`FromSchema`), so the two cannot drift.
 */
export function validator<T>(schema: object): (document: unknown) => Validated<T> {
  return validated(schema, () => ajv.compile<T>(schema));
}
