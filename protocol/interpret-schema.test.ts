import fc from 'fast-check';
import { expect, test } from 'vitest';
import { agentConfigSchema } from '../agent/config.ts';
import { assignmentSchema, envelopeSchema } from './assignment.ts';
import { boardSchema } from './board.ts';
import { compileSchema as compiled, type SchemaCheck } from './compile-schema.ts';
import { enrolResponseSchema } from './enrolment.ts';
import { compileSchema as interpreted } from './interpret-schema.ts';
import { manifestSchema } from './manifest.ts';
import { ackSchema, eventSchema, getSchema, helloSchema, reportSchema } from './messages.ts';
import { postMortemSchema } from './post-mortem.ts';

const SCHEMAS: Record<string, object> = {
  agentConfigSchema,
  assignmentSchema,
  envelopeSchema,
  boardSchema,
  enrolResponseSchema,
  manifestSchema,
  ackSchema,
  eventSchema,
  getSchema,
  helloSchema,
  reportSchema,
  postMortemSchema,
};

/** Some are what a bound, a pattern or a type is about to refuse. */
// biome-ignore format: each on a line of its own says no more
const JUNK: readonly unknown[] = [
  null, true, 0, -1, 1.5, 7, 2 ** 53, '', 'a', 'A-b', '😀'.repeat(9), 'a'.repeat(70), '/x', '12MiB',
  [], ['a', 'a'], [1, 2, 1], {}, { a: 1 }, { 'A b': {} }, { '~/': 'x' },
];
const junk = fc.constantFrom(...JUNK);

interface Schema {
  const?: unknown;
  enum?: unknown[];
  oneOf?: Schema[];
  type?: string | string[];
  items?: Schema;
  maxItems?: number;
  minimum?: number;
  pattern?: string;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | false;
  propertyNames?: Schema;
}

/** Documents of that schema, all fields there or not, any of them spoilt. */
function documentOf(schema: Schema): fc.Arbitrary<unknown> {
  const sound = soundOf(schema);
  return fc.oneof({ weight: 12, arbitrary: sound }, { weight: 1, arbitrary: junk });
}

function soundOf(schema: Schema): fc.Arbitrary<unknown> {
  if ('const' in schema) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.oneOf) return fc.oneof(...schema.oneOf.map(documentOf));
  switch ([schema.type].flat()[0]) {
    case 'object':
      return objectOf(schema);
    case 'array':
      return fc.array(documentOf(schema.items ?? {}), { maxLength: Math.min(3, schema.maxItems ?? 3) });
    case 'integer':
    case 'number': {
      const min = Math.ceil(schema.minimum ?? 0);
      return fc.integer({ min, max: Math.max(min, 100) });
    }
    case 'boolean':
      return fc.boolean();
    case 'string':
      return schema.pattern === undefined
        ? fc.string({ maxLength: 9 })
        : fc.stringMatching(new RegExp(schema.pattern, 'u'));
    default:
      return junk;
  }
}

function objectOf({ properties = {}, additionalProperties, propertyNames }: Schema): fc.Arbitrary<unknown> {
  const fields = Object.fromEntries(
    Object.entries(properties).map(([name, field]) => [name, documentOf(field)]),
  );
  const named = fc.record(fields, { requiredKeys: [] });
  const whole = fc.record(fields);
  const name =
    propertyNames === undefined
      ? fc.constantFrom('x', '~/', 'Y y')
      : documentOf({ type: 'string', ...propertyNames }).map(String);
  const value = typeof additionalProperties === 'object' ? documentOf(additionalProperties) : fc.constant(1);
  const more = fc.dictionary(name, value, { maxKeys: 2, noNullPrototype: true });
  const isMap = typeof additionalProperties === 'object';
  return fc
    .tuple(
      fc.oneof({ weight: 3, arbitrary: whole }, named),
      isMap ? more : fc.oneof({ weight: 9, arbitrary: fc.constant({}) }, more),
    )
    .map(([given, others]) => ({ ...others, ...given }));
}

const faultsOf = (check: SchemaCheck, document: unknown) =>
  check(document)
    .map(({ keyword, instancePath, params, message, data, parentSchema }) =>
      JSON.stringify([
        instancePath,
        keyword,
        message,
        data,
        parentSchema,
        keyword === 'additionalProperties' && params,
      ]),
    )
    .sort();

test.each(
  Object.entries(SCHEMAS),
)('finds in a document of %s the faults that the compiled check finds', (_name, schema) => {
  const [one, other] = [compiled(schema), interpreted(schema)];
  fc.assert(
    fc.property(documentOf(schema), (document) => {
      expect(faultsOf(other, document)).toEqual(faultsOf(one, document));
    }),
    { numRuns: 200 },
  );
});

test('throws at a keyword that it does not know', () => {
  expect(() => interpreted({ type: 'object', patternProperties: {} })({})).toThrow('patternProperties');
});
