/** Bodies of the REST API under /api/v1: the schemas routes validate with, OpenAPI shows and the web client types come from. */
import { type Static, Type } from 'typebox';
import { CHANNEL_MODES } from '../../protocol/channels.ts';
import type { DeviceEvent, Report } from '../../protocol/messages.ts';
import { reportSchema, UPDATE_PHASES } from '../../protocol/messages.ts';
import { type PostMortem, type PostMortemSummary, postMortemSchema } from '../../protocol/post-mortem.ts';
import { ROLES } from '../roles.ts';
import { Closed, Nullable, RefusalReason, ReleaseRef, Text, Time } from './api-parts.ts';
import type { Rollout } from './api-rollouts.ts';

export * from './api-remote.ts';
export * from './api-rollouts.ts';

/** RFC 9457 problem details, with our stable `code`. */
export const Problem = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  code: Type.String(),
  detail: Type.Optional(Type.String()),
});
export type Problem = Static<typeof Problem>;

export const Login = Type.Object(
  { name: Type.String({ maxLength: 64 }), password: Type.String({ maxLength: 256 }) },
  Closed,
);
export const Role = Type.Enum([...ROLES]);
export const Session = Type.Object({ name: Type.String(), role: Role, expiresAt: Time });
export type Session = Static<typeof Session>;

export const DeviceSummary = Type.Object({
  id: Type.String(),
  board: Type.String(),
  platform: Type.String(),
  isOnline: Type.Boolean(),
  lastSeenAt: Nullable(Time),
  enrolledAt: Time,
  /** What the server wants, and what the device last said it runs. */
  desired: Nullable(Type.Object({ release: ReleaseRef, generation: Type.Integer() })),
  current: Nullable(Type.Object({ name: Type.String(), version: Type.String(), generation: Type.Integer() })),
  updatePhase: Nullable(Type.Enum([...UPDATE_PHASES])),
  updateReason: Nullable(RefusalReason),
  services: Type.Object({ total: Type.Integer(), running: Type.Integer() }),
  /** No rollout moves it; null = not pinned. */
  pinned: Nullable(Type.Object({ at: Time, by: Type.String() })),
  /** What it lets be asked for; null while it is offline, or when its agent knows nothing of such requests. */
  remote: Nullable(Type.Array(Type.String())),
});
export type DeviceSummary = Static<typeof DeviceSummary>;

export const DeviceDetail = Type.Object({
  ...DeviceSummary.properties,
  certificateExpiresAt: Time,
  certificateSha256: Type.String(),
  agentVersion: Nullable(Type.String()),
  /** The device's last report, as it sent it. */
  report: Nullable(Type.Unsafe<Report>(reportSchema)),
});
export type DeviceDetail = Static<typeof DeviceDetail>;

export const DeviceEvents = Type.Object({
  items: Type.Array(Type.Unsafe<DeviceEvent>({ type: 'object', additionalProperties: true })),
});
export type DeviceEvents = Static<typeof DeviceEvents>;

/** What devices keep of services that crashed, newest first: in short here, in whole one by one. */
export const DevicePostMortems = Type.Object({
  items: Type.Array(Type.Unsafe<PostMortemSummary>({ type: 'object', additionalProperties: true })),
});
export type DevicePostMortems = Static<typeof DevicePostMortems>;
export const DevicePostMortem = Type.Unsafe<PostMortem>(postMortemSchema);

/** Use over time of one service, oldest first; parallel arrays. */
export const ServiceMetrics = Type.Object({
  service: Type.String(),
  at: Type.Array(Time),
  memoryBytes: Type.Array(Type.Number()),
  cpu: Type.Array(Type.Number({ description: 'cores' })),
  pids: Type.Array(Type.Number()),
});
export type ServiceMetrics = Static<typeof ServiceMetrics>;
export const DeviceMetrics = Type.Object({ items: Type.Array(ServiceMetrics) });
export type DeviceMetrics = Static<typeof DeviceMetrics>;

export const Release = Type.Object({
  ...ReleaseRef.properties,
  description: Type.String(),
  manifestSha256: Type.String(),
  boards: Type.Array(Type.String()),
  /** EROFS bytes by platform: what a device that holds nothing would fetch. */
  sizeBytes: Type.Record(Type.String(), Type.Integer()),
  services: Type.Array(
    Type.Object({
      name: Type.String(),
      memoryMaxBytes: Type.Integer(),
      cpuMax: Type.Number(),
      pidsMax: Type.Integer(),
      network: Type.String(),
      layers: Type.Integer(),
      /** Its segments by name; absent = none. */
      networks: Type.Optional(Type.Array(Type.String())),
      ports: Type.Optional(Type.Array(Type.String())),
      /** Absent = a container. */
      kind: Type.Optional(Type.Literal('wasm')),
      /** Absent = normal. */
      criticality: Type.Optional(Type.Enum(['critical', 'high', 'low'])),
      /** What it waits for, by service; absent = nothing. */
      dependsOn: Type.Optional(Type.Record(Type.String(), Type.Enum(['started', 'healthy', 'completed']))),
      /** Its health check in one line; absent = none. */
      health: Type.Optional(Type.String()),
      /** In what it is less isolated than the default, one sentence each; absent = in nothing. */
      loosenings: Type.Optional(Type.Array(Type.String())),
    }),
  ),
  /** Shared memory between its services; absent = none. */
  channels: Type.Optional(
    Type.Array(
      Type.Object({
        name: Type.String(),
        mode: Type.Enum([...CHANNEL_MODES]),
        /** The largest message, and how many a publisher's ring holds. */
        slotSizeBytes: Type.Integer(),
        depth: Type.Integer(),
        publishers: Type.Array(Type.String()),
        subscribers: Type.Array(Type.String()),
        /** What admission counts: the budget of its cgroup on a device. */
        memoryBytes: Type.Integer(),
      }),
    ),
  ),
  /** Of the agent that it brings; absent = none. */
  agentVersion: Type.Optional(Type.String()),
  /** Of the system that it brings, with its bytes by board; absent = none. They are not part of `sizeBytes`. */
  system: Type.Optional(
    Type.Object({ version: Type.String(), sizeBytes: Type.Record(Type.String(), Type.Integer()) }),
  ),
  /** Who signed: keyids of the targets role whose signature was checked, and the targets version. */
  signedBy: Type.Array(Type.String()),
  targetsVersion: Type.Integer(),
  uploadedAt: Time,
  uploadedBy: Type.String(),
  /** Devices that last reported this release as current. */
  deviceCount: Type.Integer(),
});
export type Release = Static<typeof Release>;

export const PublishRelease = Type.Object(
  {
    /** sha256 of an uploaded `manifest-…` object. */
    manifestSha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    /** Signed TUF root metadata, JSON text, ascending; versions the server trusts already are skipped. */
    roots: Type.Array(Type.String(), { maxItems: 256 }),
    /** Signed TUF targets metadata, JSON text. */
    targets: Type.String(),
    /** Signed metadata of roles that targets delegate to, JSON text by role; those in force stay. */
    delegated: Type.Optional(Type.Record(Type.String({ maxLength: 32 }), Type.String())),
  },
  Closed,
);
export type PublishRelease = Static<typeof PublishRelease>;

export const MakeBundle = Type.Object(
  {
    /** How long a device without a network takes it. */
    days: Type.Integer({ minimum: 1, maximum: 90 }),
  },
  Closed,
);
export type MakeBundle = Static<typeof MakeBundle>;
export const BundleMetadata = Type.Object({
  /** Signed metadata, JSON text by object name. */
  files: Type.Record(Type.String(), Type.String()),
  /** The first of its roles to expire. */
  expiresAt: Time,
});

const TufKey = Type.Object({
  keytype: Type.String(),
  scheme: Type.String(),
  keyval: Type.Object({ public: Type.String() }),
});
export const Repository = Type.Object({
  rootVersion: Nullable(Type.Integer()),
  targetsVersion: Nullable(Type.Integer()),
  /** Public halves of the server's online keys; the signer's root names them. */
  onlineKeys: Type.Object({ snapshot: TufKey, timestamp: TufKey }),
});
export type Repository = Static<typeof Repository>;

export const CreateEnrolmentToken = Type.Object(
  {
    uses: Type.Integer({ minimum: 1, maximum: 10_000 }),
    expiresInSeconds: Type.Integer({ minimum: 60, maximum: 31_536_000 }),
    note: Type.Optional(Text),
  },
  Closed,
);
export const EnrolmentToken = Type.Object({
  joinString: Type.String({ description: 'shown once' }),
  expiresAt: Time,
});
export type EnrolmentToken = Static<typeof EnrolmentToken>;

export const CreateApiToken = Type.Object(
  {
    note: Text,
    /** Absent = that of whoever makes it; never a stronger one. */
    role: Type.Optional(Role),
  },
  Closed,
);
export const PutUser = Type.Object(
  { password: Type.String({ minLength: 12, maxLength: 256 }), role: Role },
  Closed,
);
export const User = Type.Object({ name: Type.String(), role: Role });
export const ApiToken = Type.Object({ token: Type.String({ description: 'shown once; stored hashed' }) });

export const Page = <T extends Parameters<typeof Type.Array>[0]>(item: T) =>
  Type.Object({
    items: Type.Array(item),
    next: Nullable(Type.String({ description: 'cursor of the next page' })),
  });

/** GET /api/v1/stream: server-sent events. `event:` is the kind, `data:` the JSON body, `id:` rises by one. */
export type StreamEvent =
  | { kind: 'device'; data: DeviceSummary }
  | { kind: 'device-report'; data: { id: string; report: Report } }
  /** One came from a device: the newest of those that did. */
  | { kind: 'post-mortem'; data: { device: string; id: string } }
  | { kind: 'rollout'; data: Rollout }
  | { kind: 'release'; data: Release };
