import type { FromSchema } from 'json-schema-to-ts';
import { reasonSchema as reason } from './reason-schema.ts';
import { deviceHealthSchema, serviceStatusSchema } from './status.ts';
import { validator } from './validate.ts';

/** What is kept of a service that crashed, ran out of memory, or took its release down. */
const integer = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;
const text = { type: 'string', maxLength: 1024 } as const;
const name = { type: 'string', minLength: 1, maxLength: 64 } as const;
const service = serviceStatusSchema.properties;
const device = deviceHealthSchema.properties;

export const POST_MORTEM_KINDS = ['crash', 'oom', 'rollback'] as const;
/** Rises with time in one device: 12 hexadecimal digits of a Unix time in ms, then whom it is about. */
export const POST_MORTEM_ID = '^[0-9a-f]{12}-[a-z0-9-]{1,64}$';

/** up/postmortem: sent one at a time, the oldest first, until dn/ack names its id. At most LIMITS.postMortemBytes. */
export const postMortemSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['v', 'id', 'at', 'kind', 'reasons', 'log'],
  properties: {
    v: { const: 1 },
    id: { type: 'string', pattern: POST_MORTEM_ID },
    at: integer,
    kind: { enum: POST_MORTEM_KINDS },
    /** Absent where no one service is to blame: a release that took the agent down with it. */
    service: name,
    /** "demo 1.0.0"; absent before the first release. */
    release: { type: 'string', maxLength: 130 },
    specDigest: { type: 'string', maxLength: 64 },
    /** What ended it, then what was before, newest first. */
    reasons: { type: 'array', maxItems: 16, items: reason },
    /** As the kernel gave it; `signal` when its process died of one. */
    exit: {
      type: 'object',
      additionalProperties: false,
      required: ['code'],
      properties: { code: integer, signal: integer },
    },
    budget: service.budget,
    /** The last sample of its cgroup. */
    usage: service.usage,
    oomKills: integer,
    /** The process that the kernel killed, where that is known. */
    oomKilled: {
      type: 'object',
      additionalProperties: false,
      required: ['pid', 'command'],
      properties: { pid: integer, command: name },
    },
    device: {
      type: 'object',
      additionalProperties: false,
      required: ['memoryAvailableBytes'],
      properties: {
        memoryAvailableBytes: device.memoryAvailableBytes,
        memoryPressure: device.memoryPressure,
        ioPressure: device.ioPressure,
        cpuPressure: device.cpuPressure,
        temperatureCelsius: device.temperatureCelsius,
      },
    },
    /** The last lines it wrote, oldest first. */
    log: {
      type: 'array',
      maxItems: 50,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['at', 'stream', 'text'],
        properties: { at: integer, stream: { enum: ['stdout', 'stderr'] }, text },
      },
    },
    bootId: name,
  },
} as const;
export type PostMortem = FromSchema<typeof postMortemSchema>;

export const checkPostMortem = validator<PostMortem>(postMortemSchema);

/** A post-mortem as a list shows it. */
export type PostMortemSummary = Pick<
  PostMortem,
  'id' | 'at' | 'kind' | 'service' | 'release' | 'exit' | 'oomKilled'
> & {
  /** What ended it; empty when no reason is on record. */
  message: string;
  /** What led to that, nearest first. */
  causes?: { code: string; message: string; at: number }[] | undefined;
};

/** The line of a list for a post-mortem; the killed process is told with the message. */
export function summaryOf(capsule: PostMortem): PostMortemSummary {
  const { id, at, kind, service: of, release, exit, oomKilled, reasons } = capsule;
  const [first] = reasons;
  const killed = oomKilled && `; the kernel killed ${oomKilled.command}, pid ${oomKilled.pid}`;
  return {
    id,
    at,
    kind,
    ...(of !== undefined && { service: of }),
    ...(release !== undefined && { release }),
    ...(exit && { exit }),
    ...(oomKilled && { oomKilled }),
    message: `${first?.message ?? ''}${killed ?? ''}`,
    ...(first?.causes && { causes: first.causes }),
  };
}
