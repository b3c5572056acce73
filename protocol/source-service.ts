import { BIT_RATE_PATTERN, BYTES_PATTERN, DURATION_PATTERN } from './quantities.ts';

/** A service as a person writes it in `release.yaml`. Compose's words where they mean the same. */
const bytes = { type: 'string', pattern: BYTES_PATTERN, description: 'a size such as 64MiB' } as const;
const bitRate = { type: 'string', pattern: BIT_RATE_PATTERN, description: 'a rate such as 10Mbit' } as const;
const duration = {
  type: 'string',
  pattern: DURATION_PATTERN,
  description: 'a duration such as 10s',
} as const;
const strings = { type: 'array', items: { type: 'string' }, maxItems: 256 } as const;
const absolutePath = { type: 'string', pattern: '^/', description: 'an absolute path' } as const;
const weight = { type: 'integer', minimum: 1, maximum: 10_000 } as const;
const port = { type: 'integer', minimum: 1, maximum: 65_535 } as const;

export const SERVICE_NAME = { pattern: '^[a-z][a-z0-9-]{0,31}$' } as const;

const resources = {
  type: 'object',
  additionalProperties: false,
  required: ['memory', 'cpu', 'pids'],
  properties: {
    memory: {
      type: 'object',
      additionalProperties: false,
      required: ['max'],
      /** `high`: reclaim begins there. `min`: kept from reclaim. `swap`: 0 unless said. */
      properties: { max: bytes, high: bytes, min: bytes, swap: bytes },
    },
    cpu: {
      type: 'object',
      additionalProperties: false,
      required: ['max'],
      properties: {
        max: { type: 'number', minimum: 0.01, maximum: 256 },
        weight,
        cpuset: {
          type: 'string',
          pattern: '^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$',
          description: 'CPUs such as 0-1,3',
        },
      },
    },
    pids: { type: 'integer', minimum: 1, maximum: 32_768 },
    /** Of the device that holds the agent's state. Rates a second. */
    io: {
      type: 'object',
      additionalProperties: false,
      minProperties: 1,
      properties: {
        weight,
        read: bytes,
        write: bytes,
        readIops: { type: 'integer', minimum: 1 },
        writeIops: { type: 'integer', minimum: 1 },
      },
    },
    /** Of its interfaces in all segments together. */
    network: {
      type: 'object',
      additionalProperties: false,
      minProperties: 1,
      properties: { ingress: bitRate, egress: bitRate },
    },
    disk: {
      type: 'object',
      additionalProperties: false,
      minProperties: 1,
      properties: {
        /** Size of the writable layer of a root that is not read-only; it goes with the container. */
        writable: bytes,
        /** Where that layer lies: in memory, charged to the service, or in a sized filesystem on the disk. */
        backing: { enum: ['memory', 'disk'] },
        /** Size of /tmp and of /dev/shm, both in the service's memory. */
        tmp: bytes,
        shm: bytes,
      },
    },
    logs: {
      type: 'object',
      additionalProperties: false,
      minProperties: 1,
      /** Kept in all; per second. */
      properties: { size: bytes, rate: bytes },
    },
    openFiles: { type: 'integer', minimum: 16, maximum: 1_048_576 },
  },
} as const;

const restart = {
  type: 'object',
  additionalProperties: false,
  properties: {
    policy: { enum: ['always', 'on-failure', 'never'] },
    backoff: {
      type: 'object',
      additionalProperties: false,
      required: ['initial', 'max'],
      properties: { initial: duration, max: duration },
    },
    maxAttempts: { type: 'integer', minimum: 1, maximum: 1000 },
    resetAfter: duration,
    /** What follows when maxAttempts is reached. */
    whenExhausted: { enum: ['stay-failed', 'fail-release', 'reboot'] },
  },
} as const;

/** Exactly one of exec, http and tcp. */
const health = {
  type: 'object',
  additionalProperties: false,
  properties: {
    exec: { ...strings, minItems: 1 },
    http: {
      type: 'object',
      additionalProperties: false,
      required: ['port', 'path'],
      properties: { port, path: absolutePath },
    },
    tcp: { type: 'object', additionalProperties: false, required: ['port'], properties: { port } },
    interval: duration,
    timeout: duration,
    retries: { type: 'integer', minimum: 1, maximum: 100 },
    startPeriod: duration,
    whenUnhealthy: { enum: ['restart', 'report'] },
  },
} as const;

const security = {
  type: 'object',
  additionalProperties: false,
  properties: {
    readOnlyRoot: { type: 'boolean' },
    capabilities: {
      type: 'array',
      items: { type: 'string', pattern: '^CAP_[A-Z_]+$', description: 'a capability such as CAP_NET_RAW' },
      uniqueItems: true,
      maxItems: 41,
    },
    allowRoot: { type: 'boolean' },
    /** `host`: its user ids are the host's. */
    userNamespace: { enum: ['private', 'host'] },
    /** System calls beyond the default profile; `unconfined` drops the profile. */
    seccomp: { enum: ['default', 'unconfined'] },
    syscalls: {
      type: 'array',
      items: { type: 'string', pattern: '^[a-z][a-z0-9_]*$', description: 'a system call such as keyctl' },
      uniqueItems: true,
      maxItems: 128,
    },
    /** Processes may gain rights at exec (set-user-id programs, file capabilities). */
    newPrivileges: { type: 'boolean' },
  },
} as const;

const mount = {
  type: 'object',
  additionalProperties: false,
  required: ['volume', 'path'],
  properties: { volume: { type: 'string' }, path: absolutePath, readOnly: { type: 'boolean' } },
} as const;

/** Either a device node by its path, or a CDI name such as `vendor.com/gpu=0`. */
const device = {
  type: 'object',
  additionalProperties: false,
  properties: {
    path: { type: 'string', pattern: '^/dev/', description: 'a path below /dev' },
    /** Where it appears in the container; the same path unless said. */
    target: { type: 'string', pattern: '^/dev/', description: 'a path below /dev' },
    access: { enum: ['r', 'rw'] },
    cdi: {
      type: 'string',
      pattern: '^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+=[A-Za-z0-9._:-]+$',
      description: 'a CDI name such as vendor.com/gpu=0',
    },
  },
} as const;

const publishedPort = {
  type: 'object',
  additionalProperties: false,
  required: ['host', 'container'],
  properties: {
    host: port,
    container: port,
    protocol: { enum: ['tcp', 'udp'] },
    /** Address of the host to listen on; all of them unless said. */
    address: { type: 'string', pattern: '^[0-9.]+$', description: 'an IPv4 address' },
  },
} as const;

const secret = {
  type: 'object',
  additionalProperties: false,
  required: ['name'],
  properties: {
    name: { type: 'string', pattern: '^[a-z0-9][a-z0-9._-]{0,63}$', description: 'a secret of the device' },
    /** File in the container; /run/secrets/<name> unless said. */
    path: absolutePath,
  },
} as const;

export const sourceServiceSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['image', 'resources'],
  properties: {
    /** `oci:<folder>[:<ref>]` or `docker-archive:<file>[:<tag>]`, relative to release.yaml. */
    image: { type: 'string', minLength: 1 },
    /**
     * A WebAssembly module for WASI preview 1, relative to release.yaml. `image` is then the image of its runtime, and
     * `command` holds the module's arguments.
     */
    wasm: { type: 'string', minLength: 1 },
    entrypoint: strings,
    command: strings,
    environment: { type: 'object', additionalProperties: { type: 'string' }, maxProperties: 256 },
    /** `uid`, `uid:gid`, or names that the image's own /etc/passwd and /etc/group know. */
    user: {
      type: 'string',
      pattern: '^[A-Za-z0-9_.-]+(?::[A-Za-z0-9_.-]+)?$',
      description: 'uid[:gid] or name[:group]',
    },
    workingDir: absolutePath,
    /** OCI runtime by its name in the agent's configuration. */
    runtime: { type: 'string', pattern: '^[a-z][a-z0-9-]{0,31}$' },
    /** Runs a small init as process 1 that collects orphans. */
    init: { type: 'boolean' },
    criticality: { enum: ['critical', 'high', 'normal', 'low'] },
    dependsOn: {
      type: 'object',
      propertyNames: SERVICE_NAME,
      additionalProperties: { enum: ['started', 'healthy', 'completed'] },
      maxProperties: 64,
    },
    restart,
    health,
    stop: {
      type: 'object',
      additionalProperties: false,
      properties: {
        signal: { enum: ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] },
        grace: duration,
      },
    },
    resources,
    network: { enum: ['none', 'host'] },
    /** Segments it is on, with more names for it there. Instead of `network`. */
    networks: {
      type: 'object',
      propertyNames: SERVICE_NAME,
      minProperties: 1,
      maxProperties: 8,
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        properties: {
          aliases: { type: 'array', items: { type: 'string', ...SERVICE_NAME }, maxItems: 8 },
        },
      },
    },
    ports: { type: 'array', items: publishedPort, maxItems: 64 },
    security,
    devices: { type: 'array', items: device, maxItems: 32 },
    secrets: { type: 'array', items: secret, maxItems: 32 },
    mounts: { type: 'array', maxItems: 32, items: mount },
    update: {
      type: 'object',
      additionalProperties: false,
      minProperties: 1,
      /**
       * `lease`: it may say that it is busy and keep updates off for a time (protocol/service-lease.ts). `strategy`:
       * `start-then-stop` starts its new version beside the old one, which ends only when that is well.
       */
      properties: {
        lease: { type: 'boolean' },
        strategy: { enum: ['stop-then-start', 'start-then-stop'] },
      },
    },
  },
} as const;
