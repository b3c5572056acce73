import type { ErrorObject, ValidateFunction } from 'ajv';
import { nearest } from './nearest.ts';

/** What is wrong with a document, one line per fault: "services.web.memroy is not a known field; did you mean "memory"?" */
export type Validated<T> = { ok: true; value: T } | { ok: false; faults: string[] };

interface ParentSchema {
  properties?: object;
  description?: string;
}

/**
 * A checker of documents against `schema` that `compile` makes on first use: neither side needs all of them, and they
 * cost memory.
 */
export function validated<T>(
  schema: object,
  compile: () => ValidateFunction<T>,
): (document: unknown) => Validated<T> {
  let check: ValidateFunction<T> | undefined;
  return (document) => {
    check ??= compile();
    if (check(document)) return { ok: true, value: document };
    return {
      ok: false,
      faults: [...new Set((check.errors ?? []).map((error) => faultOf(error, schema, document)))],
    };
  };
}

/** What stands at a JSON pointer; that of a schema begins with "#" and is URI-encoded as well. */
function standsAt(document: unknown, pointer: string): unknown {
  const keys = pointer.startsWith('#') ? decodeURIComponent(pointer) : pointer;
  return keys
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce((value, key) => (value as Record<string, unknown> | undefined)?.[key], document);
}

function faultOf(error: ErrorObject, schema: object, document: unknown): string {
  const path = error.instancePath.slice(1).replaceAll('/', '.');
  const at = (key: string) => (path ? `${path}.${key}` : key);
  const given = () => JSON.stringify(error.propertyName ?? standsAt(document, error.instancePath));
  const parent = () => standsAt(schema, error.schemaPath.replace(/\/[^/]*$/, '')) as ParentSchema | undefined;
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(error.params['additionalProperty']);
      const known = Object.keys(parent()?.properties ?? {});
      const near = nearest(key, known);
      return `${at(key)} is not a known field${near ? `; did you mean "${near}"?` : known.length ? `; known: ${known.join(', ')}` : ''}`;
    }
    case 'required':
      return `${at(String(error.params['missingProperty']))} is missing`;
    case 'enum':
      return `${path || 'value'} is ${given()}; wanted one of ${(error.params['allowedValues'] as unknown[]).join(', ')}`;
    case 'pattern':
      return `${path || 'value'} is ${given()}; wanted ${parent()?.description ?? String(error.params['pattern'])}`;
    case 'propertyNames':
      return `${at(String(error.params['propertyName']))} is not a usable name; use lower-case letters, digits and "-"`;
    default:
      return `${path || 'value'} ${error.message ?? 'is wrong'}`;
  }
}
