import { Ajv } from 'ajv';

/** A fault as ajv tells it; `verbose`: with the schema's own words. */
export interface SchemaFault {
  keyword: string;
  /** JSON pointer. */
  instancePath: string;
  params: Record<string, unknown>;
  message?: string;
  parentSchema?: object;
  data?: unknown;
}

/** None when the document is as the schema wants it. */
export type SchemaCheck = (document: unknown) => readonly SchemaFault[];

const ajv = new Ajv({ allErrors: true, allowUnionTypes: true, strict: true, verbose: true });

/** In the agent's bundle interpret-schema.ts stands in its place. */
export function compileSchema(schema: object): SchemaCheck {
  const check = ajv.compile(schema);
  return (document) => (check(document) ? [] : (check.errors ?? []));
}
