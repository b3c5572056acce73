import type { FromSchema } from 'json-schema-to-ts';
import { channelStatusSchema } from './channel-status.ts';
import { CHANNEL_LIMITS } from './channels.ts';
import { LIMITS } from './limits.ts';
import { reasonSchema as reason, reasonCode } from './reason-schema.ts';
import { deviceHealthSchema as deviceHealth, serviceStatusSchema as serviceStatus } from './status.ts';
import { validator } from './validate.ts';

/** JSON bodies of the MQTT channels. Every schema is closed; both ends refuse what does not match. */
const integer = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;
const text = { type: 'string', maxLength: 1024 } as const;
const name = { type: 'string', minLength: 1, maxLength: 64 } as const;
const sha256 = { type: 'string', pattern: '^[0-9a-f]{64}$' } as const;
const v = { const: 1 } as const;

const release = {
  type: 'object',
  additionalProperties: false,
  required: ['name', 'version', 'manifest', 'generation'],
  properties: { name, version: name, manifest: sha256, generation: integer },
} as const;

/** up/hello: first message of every session. */
export const helloSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['v', 'bootId', 'agentVersion', 'board', 'platform', 'generation', 'memoryBytes', 'cpus'],
  properties: {
    v,
    bootId: name,
    agentVersion: name,
    board: name,
    platform: { enum: ['linux/amd64', 'linux/arm64'] },
    /** Highest assignment generation the device has accepted; 0 = none yet. */
    generation: integer,
    memoryBytes: integer,
    cpus: integer,
  },
} as const;
export type Hello = FromSchema<typeof helloSchema>;

export const UPDATE_PHASES = [
  'idle',
  'fetching',
  'verified',
  'staged',
  'waiting',
  'switching',
  'soaking',
  'committed',
  'rolling_back',
  'rolled_back',
  'refused',
] as const;
export type UpdatePhase = (typeof UPDATE_PHASES)[number];

const update = {
  type: 'object',
  additionalProperties: false,
  required: ['phase', 'since'],
  properties: {
    phase: { enum: UPDATE_PHASES },
    since: integer,
    /** The assignment this is about; absent when idle. */
    release,
    /** Bytes the device has of those it must fetch for this release. `reusedBytes` were on disk before. */
    progress: {
      type: 'object',
      additionalProperties: false,
      required: ['doneBytes', 'totalBytes', 'reusedBytes'],
      properties: { doneBytes: integer, totalBytes: integer, reusedBytes: integer },
    },
    reason,
    /** The newest signed metadata as far as the device knows; absent before its first look. */
    metadata: {
      type: 'object',
      additionalProperties: false,
      properties: {
        /** When it was last accepted, and until when it holds. */
        checkedAt: integer,
        expiresAt: integer,
        /** Why the last look was not accepted; absent when it was. */
        fault: {
          type: 'object',
          additionalProperties: false,
          required: ['code', 'message', 'at'],
          properties: { code: reasonCode, message: text, at: integer },
        },
      },
    },
  },
} as const;
export type UpdateStatus = FromSchema<typeof update>;

/** up/report: the whole reported state, each interval and on change. A lost one is healed by the next. */
export const reportSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['v', 'at', 'sequence', 'generation', 'update', 'services', 'device'],
  properties: {
    v,
    at: integer,
    /** Rises by one with each report of this session. */
    sequence: integer,
    generation: integer,
    /** The release in force; absent before the first. */
    current: release,
    update,
    services: { type: 'array', items: serviceStatus, maxItems: LIMITS.services },
    device: deviceHealth,
    /** By name; absent where the device has none, or where the report would be too large with them. */
    channels: { type: 'array', items: channelStatusSchema, maxItems: CHANNEL_LIMITS.channels },
  },
} as const;
export type Report = FromSchema<typeof reportSchema>;

/** up/event: something that happened and must not be lost. Stays in the outbox until dn/ack names its id. */
export const eventSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['v', 'id', 'at', 'kind', 'code', 'message'],
  properties: {
    v,
    /** Unique per device: the receiver drops a second copy. */
    id: { type: 'string', pattern: '^[0-9a-f-]{36}$' },
    at: integer,
    /** `device`: of the device itself, or of its agent. */
    kind: { enum: ['update', 'service', 'device'] },
    code: reasonCode,
    message: text,
    generation: integer,
    phase: { enum: UPDATE_PHASES },
    release: { type: 'string', maxLength: 130 },
    service: name,
  },
} as const;
export type DeviceEvent = FromSchema<typeof eventSchema>;

/** up/get, on the bulk session: which chunks of an object to send now. */
export const getSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['v', 'request', 'object', 'chunkBytes', 'first', 'bitmap'],
  properties: {
    v,
    request: { ...integer, maximum: 0xffffffff },
    object: { type: 'string', maxLength: 128 },
    chunkBytes: { type: 'integer', minimum: LIMITS.minChunkBytes, maximum: LIMITS.maxChunkBytes },
    first: { ...integer, maximum: 0xffffffff },
    bitmap: { type: 'string', maxLength: 44 },
  },
} as const;
export type Get = FromSchema<typeof getSchema>;

/** dn/ack: events and post-mortems the server has stored. */
export const ackSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['v', 'ids'],
  properties: { v, ids: { type: 'array', items: { type: 'string', maxLength: 80 }, maxItems: 256 } },
} as const;
export type Ack = FromSchema<typeof ackSchema>;

/** dn/fault: a `get` that cannot be answered. */
export const faultSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['v', 'request', 'code', 'message', 'retryAfterMs'],
  properties: {
    v,
    request: integer,
    code: { enum: ['malformed', 'unknown-object', 'out-of-range', 'busy'] },
    message: text,
    /** 0 = asking again is no use. */
    retryAfterMs: integer,
  },
} as const;
export type Fault = FromSchema<typeof faultSchema>;

export const checkHello = validator<Hello>(helloSchema);
export const checkReport = validator<Report>(reportSchema);
export const checkEvent = validator<DeviceEvent>(eventSchema);
export const checkGet = validator<Get>(getSchema);
export const checkAck = validator<Ack>(ackSchema);
export const checkFault = validator<Fault>(faultSchema);
