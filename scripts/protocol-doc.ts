// Renders the tables of docs/protocol.md from protocol/ itself. `npm run docs` writes them; a test keeps them equal.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assignmentSchema, envelopeSchema } from '../protocol/assignment.ts';
import { enrolRequestSchema, enrolResponseSchema } from '../protocol/enrolment.ts';
import { LIMITS } from '../protocol/limits.ts';
import { manifestSchema } from '../protocol/manifest.ts';
import {
  ackSchema,
  eventSchema,
  faultSchema,
  getSchema,
  helloSchema,
  reportSchema,
} from '../protocol/messages.ts';
import { postMortemSchema } from '../protocol/post-mortem.ts';
import { REASONS } from '../protocol/reasons.ts';
import { releaseSourceSchema } from '../protocol/release-source.ts';
import { abilitiesSchema, answerSchema, askSchema, moreSchema } from '../protocol/remote.ts';
import { REMOTE_LIMITS } from '../protocol/remote-actions.ts';
import { DOWN_CHANNELS, UP_CHANNELS } from '../protocol/topics.ts';
import { ROOT } from './setup.mjs';

export const PROTOCOL_DOC = join(ROOT, 'docs/protocol.md');

interface Schema {
  type?: string;
  const?: unknown;
  enum?: readonly unknown[];
  required?: readonly string[];
  properties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
  items?: Schema;
  pattern?: string;
  description?: string;
  minimum?: number;
  maximum?: number;
}

function kindOf(schema: Schema): string {
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum)
    return schema.enum.length > 12
      ? 'one of the reason codes below'
      : schema.enum.map((value) => `\`${String(value)}\``).join(' ');
  if (schema.description) return schema.description;
  if (schema.type === 'array') return `array of ${kindOf(schema.items ?? {})}`;
  if (schema.pattern) return `string like \`${schema.pattern}\``;
  return schema.type ?? 'any';
}

/** One row for each field, nested fields by path. */
function fieldRows(schema: Schema, prefix = ''): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const path = `${prefix}${name}`;
    const inner = field.type === 'array' ? field.items : field;
    const map = typeof inner?.additionalProperties === 'object' ? inner.additionalProperties : undefined;
    const presence = schema.required?.includes(name) ? 'yes' : 'no';
    const kind = kindOf(field).replaceAll('|', '\\|');
    const below = map
      ? fieldRows(map, `${path}.*.`)
      : fieldRows(inner ?? {}, `${path}${field.type === 'array' ? '[]' : ''}.`);
    return [`| \`${path}\` | ${kind} | ${presence} |`, ...below];
  });
}

const table = (head: string[], rows: string[]): string =>
  [`| ${head.join(' | ')} |`, `|${head.map(() => '---|').join('')}`, ...rows].join('\n');
const fields = (schema: object): string => table(['field', 'value', 'required'], fieldRows(schema as Schema));

const SECTIONS: Record<string, () => string> = {
  channels: () =>
    table(
      ['topic', 'direction'],
      [
        ...UP_CHANNELS.map((name) => `| \`up/{shard}/{tenant}/{device}/${name}\` | device → server |`),
        ...DOWN_CHANNELS.map((name) => `| \`dn/{tenant}/{device}/${name}\` | server → device |`),
      ],
    ),
  hello: () => fields(helloSchema),
  report: () => fields(reportSchema),
  event: () => fields(eventSchema),
  postmortem: () => fields(postMortemSchema),
  abilities: () => fields(abilitiesSchema),
  ask: () => fields(askSchema),
  more: () => fields(moreSchema),
  answer: () => fields(answerSchema),
  get: () => fields(getSchema),
  ack: () => fields(ackSchema),
  fault: () => fields(faultSchema),
  envelope: () => fields(envelopeSchema),
  assignment: () => fields(assignmentSchema),
  'enrol-request': () => fields(enrolRequestSchema),
  'enrol-response': () => fields(enrolResponseSchema),
  'release-source': () => fields(releaseSourceSchema),
  manifest: () => fields(manifestSchema),
  limits: () =>
    table(
      ['limit', 'value'],
      Object.entries(LIMITS).map(([name, value]) => `| \`${name}\` | ${value} |`),
    ),
  'remote-limits': () =>
    table(
      ['limit', 'value'],
      Object.entries(REMOTE_LIMITS).map(([name, value]) => `| \`${name}\` | ${value} |`),
    ),
  reasons: () =>
    table(
      ['code', 'meaning'],
      Object.entries(REASONS).map(([code, meaning]) => `| \`${code}\` | ${meaning} |`),
    ),
};

/** Replaces what stands between `<!-- name -->` and `<!-- /name -->`. Throws when a section has no place. */
export function renderProtocolDoc(text: string): string {
  return Object.entries(SECTIONS).reduce((document, [name, render]) => {
    const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
    const [start, end] = [document.indexOf(open), document.indexOf(close)];
    if (start < 0 || end < start)
      throw new Error(`Cannot render docs/protocol.md: it has no section ${open} … ${close}`);
    return `${document.slice(0, start + open.length)}\n${render()}\n${document.slice(end)}`;
  }, text);
}

if (import.meta.main) writeFileSync(PROTOCOL_DOC, renderProtocolDoc(readFileSync(PROTOCOL_DOC, 'utf8')));
