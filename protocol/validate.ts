import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { nearest } from './nearest.ts';

/** What is wrong with a document, one line per fault: "services.web.memroy is not a known field; did you mean "memory"?" */
export type Validated<T> = { ok: true; value: T } | { ok: false; faults: string[] };

const ajv = new Ajv({ allErrors: true, allowUnionTypes: true, strict: true, verbose: true });

/**
 * Compiles a closed JSON Schema to a checker, on first use: neither side needs all of them, and they cost memory.
 * Unknown fields are faults, never ignored. Types come from the same schema (`FromSchema`), so the two cannot drift.
 */
export function validator<T>(schema: object): (document: unknown) => Validated<T> {
  let check: ValidateFunction<T> | undefined;
  return (document) => {
    check ??= ajv.compile<T>(schema);
    if (check(document)) return { ok: true, value: document };
    return { ok: false, faults: [...new Set((check.errors ?? []).map(faultOf))] };
  };
}

function faultOf(error: ErrorObject): string {
  const path = error.instancePath.slice(1).replaceAll('/', '.');
  const at = (key: string) => (path ? `${path}.${key}` : key);
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(error.params['additionalProperty']);
      const known = Object.keys((error.parentSchema?.['properties'] as object | undefined) ?? {});
      const near = nearest(key, known);
      return `${at(key)} is not a known field${near ? `; did you mean "${near}"?` : known.length ? `; known: ${known.join(', ')}` : ''}`;
    }
    case 'required':
      return `${at(String(error.params['missingProperty']))} is missing`;
    case 'enum':
      return `${path || 'value'} is ${JSON.stringify(error.data)}; wanted one of ${(error.params['allowedValues'] as unknown[]).join(', ')}`;
    case 'pattern': {
      const hint = (error.parentSchema as { description?: string } | undefined)?.description;
      return `${path || 'value'} is ${JSON.stringify(error.data)}; wanted ${hint ?? String(error.params['pattern'])}`;
    }
    case 'propertyNames':
      return `${at(String(error.params['propertyName']))} is not a usable name; use lower-case letters, digits and "-"`;
    default:
      return `${path || 'value'} ${error.message ?? 'is wrong'}`;
  }
}
