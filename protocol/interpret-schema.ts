// What the agent's bundle has in the place of compile-schema.ts: checks by walking the schema instead of compiling it.
// A compiler and what it makes of these schemas cost a device 2 MiB; a device checks a few documents a day. Both give
// the same faults: interpret-schema.test.ts holds one against the other.
import type { SchemaCheck, SchemaFault } from './compile-schema.ts';

interface Schema {
  readonly [keyword: string]: unknown;
}

/** Where in a document and in a schema the check stands. */
interface Place {
  schema: Schema;
  path: string;
  faults: SchemaFault[];
}

type Rule = (wanted: never, value: never, place: Place) => void;
type Fields = Record<string, unknown>;

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** JSON Schema types; NaN and the infinities are no JSON. */
const TYPES: Record<string, (value: unknown) => boolean> = {
  object: isObject,
  array: Array.isArray,
  string: (value) => typeof value === 'string',
  number: Number.isFinite,
  integer: Number.isInteger,
  boolean: (value) => typeof value === 'boolean',
  null: (value) => value === null,
};

function fault(place: Place, keyword: string, data: unknown, message: string, params: Fields = {}): void {
  const { path, schema, faults } = place;
  faults.push({ keyword, instancePath: path, params, message, data, parentSchema: schema });
}

/** A bound on a measure of the value, as a rule. */
const bound =
  <T>(
    keyword: string,
    measure: (value: T) => number,
    isUpper: boolean,
    say: (bound: number) => string,
  ): Rule =>
  (limit: number, value: T, place) => {
    const measured = measure(value);
    if (isUpper ? measured > limit : measured < limit) fault(place, keyword, value, say(limit), { limit });
  };

const countOf = (isUpper: boolean, what: string) => (limit: number) =>
  `must NOT have ${isUpper ? 'more' : 'fewer'} than ${limit} ${what}`;
/** Code points, as JSON Schema counts. */
const characters = (text: string): number => [...text].length;
const fieldsOf = (value: Fields): number => Object.keys(value).length;
const itself = (value: number): number => value;

/** Keywords that mean something for values of one type only. */
const TYPED: Record<string, [type: string, rule: Rule]> = {
  minimum: ['number', bound('minimum', itself, false, (limit) => `must be >= ${limit}`)],
  maximum: ['number', bound('maximum', itself, true, (limit) => `must be <= ${limit}`)],
  minLength: ['string', bound('minLength', characters, false, countOf(false, 'characters'))],
  maxLength: ['string', bound('maxLength', characters, true, countOf(true, 'characters'))],
  minItems: ['array', bound('minItems', (items: unknown[]) => items.length, false, countOf(false, 'items'))],
  maxItems: ['array', bound('maxItems', (items: unknown[]) => items.length, true, countOf(true, 'items'))],
  minProperties: ['object', bound('minProperties', fieldsOf, false, countOf(false, 'properties'))],
  maxProperties: ['object', bound('maxProperties', fieldsOf, true, countOf(true, 'properties'))],
  pattern: ['string', pattern],
  items: ['array', items],
  uniqueItems: ['array', uniqueItems],
  required: ['object', required],
  properties: ['object', properties],
  additionalProperties: ['object', additionalProperties],
  propertyNames: ['object', propertyNames],
};

/** Keywords for values of any type. */
const ANY: Record<string, Rule> = {
  type,
  const: (wanted: unknown, value: unknown, place) => {
    if (value !== wanted) fault(place, 'const', value, 'must be equal to constant', { allowedValue: wanted });
  },
  enum: (wanted: unknown[], value: unknown, place) => {
    if (!wanted.includes(value))
      fault(place, 'enum', value, 'must be equal to one of the allowed values', { allowedValues: wanted });
  },
  oneOf,
  description: () => {},
};

function walk(schema: Schema, value: unknown, path: string, faults: SchemaFault[]): void {
  const place = { schema, path, faults };
  for (const [keyword, wanted] of Object.entries(schema)) {
    const typed = Object.hasOwn(TYPED, keyword) ? TYPED[keyword] : undefined;
    const rule = typed?.[1] ?? (Object.hasOwn(ANY, keyword) ? ANY[keyword] : undefined);
    // Never passed over: it might be what keeps something out.
    if (rule === undefined)
      throw new Error(
        `Cannot check ${path || 'a document'}: the schema has the unknown keyword "${keyword}"`,
      );
    if (typed === undefined || TYPES[typed[0]]?.(value) === true)
      rule(wanted as never, value as never, place);
  }
}

function type(wanted: string | string[], value: unknown, place: Place): void {
  const types = [wanted].flat();
  if (!types.some((name) => TYPES[name]?.(value)))
    fault(place, 'type', value, `must be ${types.join(',')}`, { type: wanted });
}

function pattern(wanted: string, value: string, place: Place): void {
  if (!new RegExp(wanted, 'u').test(value))
    fault(place, 'pattern', value, `must match pattern "${wanted}"`, { pattern: wanted });
}

const below = (path: string, key: string | number): string =>
  `${path}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;

function items(each: Schema, value: unknown[], { path, faults }: Place): void {
  for (const [index, item] of value.entries()) walk(each, item, below(path, index), faults);
}

/** Among the strings; no schema asks it of anything else. */
function uniqueItems(_wanted: true, value: unknown[], place: Place): void {
  for (let i = value.length - 1; i >= 0; i--) {
    const j = typeof value[i] === 'string' ? value.indexOf(value[i], i + 1) : -1;
    if (j < 0) continue;
    const message = `must NOT have duplicate items (items ## ${j} and ${i} are identical)`;
    return fault(place, 'uniqueItems', value, message, { i, j });
  }
}

function required(names: string[], value: Fields, place: Place): void {
  for (const name of names) {
    if (value[name] === undefined)
      fault(place, 'required', value, `must have required property '${name}'`, { missingProperty: name });
  }
}

function properties(schemas: Record<string, Schema>, value: Fields, { path, faults }: Place): void {
  for (const [name, schema] of Object.entries(schemas)) {
    if (value[name] !== undefined) walk(schema, value[name], below(path, name), faults);
  }
}

function additionalProperties(each: Schema | false, value: Fields, place: Place): void {
  const known = (place.schema['properties'] ?? {}) as object;
  for (const [name, item] of Object.entries(value)) {
    if (Object.hasOwn(known, name)) continue;
    if (each !== false) walk(each, item, below(place.path, name), place.faults);
    else
      fault(place, 'additionalProperties', value, 'must NOT have additional properties', {
        additionalProperty: name,
      });
  }
}

function propertyNames(schema: Schema, value: Fields, place: Place): void {
  for (const name of Object.keys(value)) {
    const before = place.faults.length;
    walk(schema, name, place.path, place.faults);
    if (place.faults.length > before)
      fault(place, 'propertyNames', value, 'property name must be valid', { propertyName: name });
  }
}

function oneOf(schemas: Schema[], value: unknown, place: Place): void {
  const tried = schemas.map((schema) => {
    const faults: SchemaFault[] = [];
    walk(schema, value, place.path, faults);
    return faults;
  });
  if (tried.filter((faults) => faults.length === 0).length === 1) return;
  place.faults.push(...tried.flat());
  fault(place, 'oneOf', value, 'must match exactly one schema in oneOf');
}

export const compileSchema =
  (schema: object): SchemaCheck =>
  (document) => {
    const faults: SchemaFault[] = [];
    walk(schema as Schema, document, '', faults);
    return faults;
  };
