import { LIMITS } from './limits.ts';
import { image, integer, strings } from './manifest-image.ts';

const name = { pattern: '^[a-z][a-z0-9-]{0,31}$' } as const;
const weight = { type: 'integer', minimum: 1, maximum: 10_000 } as const;
const port = { type: 'integer', minimum: 1, maximum: 65_535 } as const;
const devicePath = { type: 'string', pattern: '^/dev/' } as const;

/** A service of a built release. */
export const manifestServiceSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['images', 'resources', 'restart', 'stop', 'network', 'security', 'mounts'],
  properties: {
    /** By platform, "linux/amd64" or "linux/arm64". Arguments, environment and user are merged in already. */
    images: {
      type: 'object',
      propertyNames: { enum: ['linux/amd64', 'linux/arm64'] },
      additionalProperties: image,
      minProperties: 1,
    },
    resources: {
      type: 'object',
      additionalProperties: false,
      required: ['memoryMaxBytes', 'cpuMax', 'pidsMax'],
      properties: {
        memoryMaxBytes: { ...integer, minimum: 1024 * 1024 },
        /** Cores; 0.5 is half a core. */
        cpuMax: { type: 'number', minimum: 0.01, maximum: 256 },
        pidsMax: { ...integer, minimum: 1, maximum: 32768 },
        memoryHighBytes: { ...integer, minimum: 1024 * 1024 },
        memoryMinBytes: integer,
        /** Absent = 0. */
        swapMaxBytes: integer,
        /** cgroup v2's scale, 1 to 10000; the kernel's own default is 100. */
        cpuWeight: weight,
        /** "0-1,3". */
        cpuset: { type: 'string', pattern: '^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$' },
        io: {
          type: 'object',
          additionalProperties: false,
          properties: {
            weight,
            readBps: { ...integer, minimum: 1 },
            writeBps: { ...integer, minimum: 1 },
            readIops: { ...integer, minimum: 1 },
            writeIops: { ...integer, minimum: 1 },
          },
        },
        /** Bits a second. */
        network: {
          type: 'object',
          additionalProperties: false,
          properties: { ingressBps: { ...integer, minimum: 8000 }, egressBps: { ...integer, minimum: 8000 } },
        },
        disk: {
          type: 'object',
          additionalProperties: false,
          properties: {
            writableBytes: { ...integer, minimum: 4096 },
            backing: { const: 'disk' },
            tmpBytes: { ...integer, minimum: 4096 },
            shmBytes: { ...integer, minimum: 4096 },
          },
        },
        /** Kept in all; bytes a second that are kept at most. */
        logs: {
          type: 'object',
          additionalProperties: false,
          properties: {
            sizeBytes: { ...integer, minimum: 65_536 },
            rateBytes: { ...integer, minimum: 1024 },
          },
        },
        openFiles: { ...integer, minimum: 16, maximum: 1_048_576 },
      },
    },
    restart: {
      type: 'object',
      additionalProperties: false,
      required: ['policy', 'backoffInitialMs', 'backoffMaxMs', 'maxAttempts', 'resetAfterMs'],
      properties: {
        policy: { enum: ['always', 'on-failure', 'never'] },
        backoffInitialMs: { ...integer, minimum: 100 },
        backoffMaxMs: { ...integer, minimum: 100 },
        /** Consecutive failed starts before the service is given up; 0 = never. */
        maxAttempts: integer,
        /** Up for this long = healthy again: the attempt counter starts anew. */
        resetAfterMs: integer,
        /** When maxAttempts is reached; absent = fail-release. */
        whenExhausted: { enum: ['stay-failed', 'reboot'] },
      },
    },
    stop: {
      type: 'object',
      additionalProperties: false,
      required: ['signal', 'graceMs'],
      properties: { signal: { type: 'string', pattern: '^SIG[A-Z0-9]+$' }, graceMs: integer },
    },
    /** `segments`: on those that `segments` names. */
    network: { enum: ['none', 'host', 'segments'] },
    security: {
      type: 'object',
      additionalProperties: false,
      required: ['readOnlyRoot', 'capabilities'],
      properties: {
        readOnlyRoot: { type: 'boolean' },
        capabilities: strings,
        userNamespace: { const: 'host' },
        seccomp: { const: 'unconfined' },
        /** Beyond the default profile, sorted. */
        syscalls: strings,
        newPrivileges: { const: true },
      },
    },
    mounts: {
      type: 'array',
      maxItems: 32,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['volume', 'path', 'readOnly'],
        properties: {
          volume: { type: 'string' },
          path: { type: 'string', pattern: '^/' },
          readOnly: { type: 'boolean' },
        },
      },
    },
    /** `wasm`: the top layer holds the module, the layers below it the runtime. Absent = a container. */
    kind: { const: 'wasm' },
    /** OCI runtime by its name in the agent's configuration; absent = the agent's default. */
    runtime: { type: 'string', pattern: '^[a-z][a-z0-9-]{0,31}$' },
    init: { const: true },
    /** Absent = normal. */
    criticality: { enum: ['critical', 'high', 'low'] },
    dependsOn: {
      type: 'object',
      propertyNames: name,
      additionalProperties: { enum: ['started', 'healthy', 'completed'] },
      minProperties: 1,
      maxProperties: LIMITS.services,
    },
    health: {
      type: 'object',
      additionalProperties: false,
      required: ['check', 'intervalMs', 'timeoutMs', 'retries', 'startPeriodMs', 'whenUnhealthy'],
      properties: {
        check: {
          oneOf: [
            {
              type: 'object',
              additionalProperties: false,
              required: ['kind', 'args'],
              properties: { kind: { const: 'exec' }, args: { ...strings, minItems: 1 } },
            },
            {
              type: 'object',
              additionalProperties: false,
              required: ['kind', 'port', 'path'],
              properties: { kind: { const: 'http' }, port, path: { type: 'string', pattern: '^/' } },
            },
            {
              type: 'object',
              additionalProperties: false,
              required: ['kind', 'port'],
              properties: { kind: { const: 'tcp' }, port },
            },
          ],
        },
        intervalMs: { ...integer, minimum: 100 },
        timeoutMs: { ...integer, minimum: 100 },
        retries: { ...integer, minimum: 1 },
        /** Failures in this time after the start do not count. */
        startPeriodMs: integer,
        whenUnhealthy: { enum: ['restart', 'report'] },
      },
    },
    /** By segment name. */
    segments: {
      type: 'object',
      propertyNames: name,
      minProperties: 1,
      maxProperties: 8,
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['aliases'],
        properties: { aliases: { type: 'array', items: { type: 'string', ...name }, maxItems: 8 } },
      },
    },
    ports: {
      type: 'array',
      minItems: 1,
      maxItems: 64,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['host', 'container', 'protocol'],
        properties: {
          host: port,
          container: port,
          protocol: { enum: ['tcp', 'udp'] },
          /** IPv4 address of the host; absent = all. */
          address: { type: 'string', pattern: '^[0-9.]+$' },
        },
      },
    },
    devices: {
      type: 'array',
      minItems: 1,
      maxItems: 32,
      items: {
        oneOf: [
          {
            type: 'object',
            additionalProperties: false,
            required: ['kind', 'path', 'target', 'access'],
            properties: {
              kind: { const: 'node' },
              path: devicePath,
              target: devicePath,
              access: { enum: ['r', 'rw'] },
            },
          },
          {
            type: 'object',
            additionalProperties: false,
            required: ['kind', 'name'],
            properties: { kind: { const: 'cdi' }, name: { type: 'string', maxLength: 200 } },
          },
        ],
      },
    },
    secrets: {
      type: 'array',
      minItems: 1,
      maxItems: 32,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['name', 'path'],
        properties: {
          name: { type: 'string', pattern: '^[a-z0-9][a-z0-9._-]{0,63}$' },
          path: { type: 'string', pattern: '^/' },
        },
      },
    },
    update: {
      type: 'object',
      additionalProperties: false,
      minProperties: 1,
      properties: {
        /** It may hold updates off for a time (protocol/service-lease.ts). */
        lease: { const: true },
        /** Its new version starts beside the old one; absent = the old one stops first. */
        strategy: { const: 'start-then-stop' },
      },
    },
  },
} as const;
