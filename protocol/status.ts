import type { FromSchema } from 'json-schema-to-ts';
import { reasonSchema as reason } from './reason-schema.ts';

/** How a service and a device are, as reports carry it and the local API shows it. Optional = not known or not so. */
const integer = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;
const number = { type: 'number', minimum: 0 } as const;
const text = { type: 'string', maxLength: 1024 } as const;
const name = { type: 'string', minLength: 1, maxLength: 64 } as const;

export const SERVICE_STATES = [
  'stopped',
  'waiting',
  'starting',
  'running',
  'stopping',
  'backing_off',
  'crash_looping',
  'shed',
  'completed',
  'failed',
] as const;
export type ServiceState = (typeof SERVICE_STATES)[number];

/** PSI: percent of the last ten seconds in which some, or all, tasks waited. Kernel Documentation/accounting/psi.rst. */
const pressure = {
  type: 'object',
  additionalProperties: false,
  required: ['some', 'full'],
  properties: { some: number, full: number },
} as const;

export const serviceStatusSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['name', 'state', 'since', 'reason', 'restarts', 'oomKills', 'budget'],
  properties: {
    name,
    state: { enum: SERVICE_STATES },
    since: integer,
    reason,
    /** Starts after the first since this specification was put in place. */
    restarts: integer,
    oomKills: integer,
    pid: integer,
    /** Absent = a container. */
    kind: { const: 'wasm' },
    criticality: { enum: ['critical', 'high', 'normal', 'low'] },
    /** Its health check; absent when it has none or does not run. */
    health: {
      type: 'object',
      additionalProperties: false,
      required: ['state', 'since'],
      properties: { state: { enum: ['starting', 'healthy', 'unhealthy'] }, since: integer, detail: text },
    },
    /** Runs on less than its budget to relieve the device. */
    isThrottled: { const: true },
    /** What of its budget or isolation this machine cannot hold, by name. */
    degraded: {
      type: 'array',
      maxItems: 32,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['what', 'why'],
        properties: { what: name, why: text },
      },
    },
    budget: {
      type: 'object',
      additionalProperties: false,
      required: ['memoryMaxBytes', 'cpuMax', 'pidsMax'],
      properties: { memoryMaxBytes: integer, cpuMax: number, pidsMax: integer },
    },
    /** Read from the service's cgroup; absent when it does not run. cpu in cores over the last interval. */
    usage: {
      type: 'object',
      additionalProperties: false,
      required: ['memoryBytes', 'cpu', 'pids', 'throttledMs'],
      properties: {
        memoryBytes: integer,
        cpu: number,
        pids: integer,
        throttledMs: integer,
        memoryPeakBytes: integer,
        /** Times it was held back at memory.high. */
        memoryHighEvents: integer,
        memoryPressure: pressure,
        ioPressure: pressure,
        cpuPressure: pressure,
        ioReadBytes: integer,
        ioWrittenBytes: integer,
        networkReceivedBytes: integer,
        networkSentBytes: integer,
        /** Its writable layer. */
        diskBytes: integer,
        /** Its volumes together, those that it shares too. */
        volumeBytes: integer,
      },
    },
    logs: {
      type: 'object',
      additionalProperties: false,
      required: ['keptBytes', 'droppedBytes'],
      /** Dropped since its specification was put in place; a lower bound. */
      properties: { keptBytes: integer, droppedBytes: integer },
    },
    /** IPv4 address by segment. */
    addresses: { type: 'object', additionalProperties: { type: 'string', maxLength: 45 }, maxProperties: 8 },
  },
} as const;
export type ServiceStatus = FromSchema<typeof serviceStatusSchema>;
export type Degradation = NonNullable<ServiceStatus['degraded']>[number];
export type Pressure = FromSchema<typeof pressure>;

export const THROTTLE_FLAGS = [
  'under-voltage',
  'frequency-capped',
  'throttled',
  'soft-temperature-limit',
] as const;
export type ThrottleFlag = (typeof THROTTLE_FLAGS)[number];

export const deviceHealthSchema = {
  type: 'object',
  additionalProperties: false,
  required: [
    'uptimeMs',
    'load1',
    'memoryTotalBytes',
    'memoryAvailableBytes',
    'diskTotalBytes',
    'diskFreeBytes',
    'agentRssBytes',
  ],
  properties: {
    uptimeMs: integer,
    load1: number,
    memoryTotalBytes: integer,
    memoryAvailableBytes: integer,
    /** Of the filesystem that holds the agent's state. */
    diskTotalBytes: integer,
    diskFreeBytes: integer,
    agentRssBytes: integer,
    /** Hottest thermal zone; absent where the board has none. */
    temperatureCelsius: { type: 'number' },
    memoryPressure: pressure,
    ioPressure: pressure,
    cpuPressure: pressure,
    /** What the board's firmware says of its power and cooling: now, and since boot. */
    throttling: {
      type: 'object',
      additionalProperties: false,
      required: ['now', 'sinceBoot'],
      properties: {
        now: { type: 'array', items: { enum: THROTTLE_FLAGS }, maxItems: THROTTLE_FLAGS.length },
        sinceBoot: { type: 'array', items: { enum: THROTTLE_FLAGS }, maxItems: THROTTLE_FLAGS.length },
      },
    },
    /** The disk that holds the agent's state. */
    storage: {
      type: 'object',
      additionalProperties: false,
      required: ['writtenBytes'],
      properties: {
        /** By everything on the device, since the agent first ran on it. */
        writtenBytes: integer,
        /** Mean of the last days that were measured. */
        writtenBytesPerDay: integer,
        /** By the device's own account, of its life time; eMMC only. */
        lifeUsedPercent: number,
        /** At the present pace, from the endurance that board.yaml names. */
        daysLeft: integer,
      },
    },
    clock: {
      type: 'object',
      additionalProperties: false,
      required: ['state'],
      properties: { state: { enum: ['synchronised', 'unsynchronised', 'unknown'] } },
    },
    boot: {
      type: 'object',
      additionalProperties: false,
      required: ['id', 'reason', 'at'],
      properties: {
        id: name,
        /** `requested`: the agent asked for it. `clean`: shut down in order. `lost-power`: neither that nor a panic. */
        reason: { enum: ['first', 'requested', 'clean', 'lost-power', 'panic', 'watchdog'] },
        at: integer,
      },
    },
    /** Load is being shed: how far, and why. */
    shedding: {
      type: 'object',
      additionalProperties: false,
      required: ['level', 'reason'],
      properties: { level: integer, reason },
    },
    /** Parts of the agent that are not well. */
    faults: { type: 'array', maxItems: 16, items: reason },
  },
} as const;
export type DeviceHealth = FromSchema<typeof deviceHealthSchema>;
