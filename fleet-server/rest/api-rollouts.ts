/** Bodies of the REST API for rollouts; `api.ts` hands them on. */
import { type Static, Type } from 'typebox';
import { type UpdatePolicy, updatePolicySchema } from '../../protocol/update-policy.ts';
import { Closed, Nullable, RefusalReason, ReleaseRef, Time } from './api-parts.ts';

export const ATTEMPT_STATES = [
  'queued',
  'offered',
  'downloading',
  /** Ready, or not begun, and held by its policy; `reason` says by what. */
  'waiting',
  'installing',
  'soaking',
  'committed',
  'already_current',
  'rolled_back',
  'rejected',
  'superseded',
] as const;
export const ENDED_ATTEMPT_STATES: readonly string[] = [
  'committed',
  'already_current',
  'rolled_back',
  'rejected',
  'superseded',
];

export const Attempt = Type.Object({
  id: Type.String(),
  device: Type.String(),
  state: Type.Enum([...ATTEMPT_STATES]),
  generation: Type.Integer(),
  progress: Nullable(
    Type.Object({ doneBytes: Type.Number(), totalBytes: Type.Number(), reusedBytes: Type.Number() }),
  ),
  reason: Nullable(RefusalReason),
  updatedAt: Time,
});
export type Attempt = Static<typeof Attempt>;

/** How devices may take the release. Who makes it urgent is the server's to say. */
const { urgent: _urgent, ...askedProperties } = updatePolicySchema.properties;
export type AskedPolicy = Omit<UpdatePolicy, 'urgent'>;
const AskedPolicy = Type.Unsafe<AskedPolicy>({ ...updatePolicySchema, properties: askedProperties });

/** Bytes a second. Less than the least would keep a device from its metadata for minutes. */
const EgressRate = Type.Integer({ minimum: 1_000, maximum: 100_000_000_000 });

export const Rollout = Type.Object({
  id: Type.String(),
  release: ReleaseRef,
  state: Type.Enum(['running', 'completed', 'superseded']),
  createdAt: Time,
  createdBy: Type.String(),
  /** What it asks of the devices, and its windows in words; absent = nothing. */
  policy: Type.Optional(Type.Unsafe<UpdatePolicy>(updatePolicySchema)),
  windows: Type.Optional(Type.Array(Type.String())),
  /** What leaves the server for all its devices together; absent = no limit of its own. */
  egressBytesPerSecond: Type.Optional(EgressRate),
  attempts: Type.Array(Attempt),
});
export type Rollout = Static<typeof Rollout>;

export const StartRollout = Type.Object(
  {
    releaseId: Type.String(),
    devices: Type.Array(Type.String(), { maxItems: 10_000, uniqueItems: true }),
    policy: Type.Optional(AskedPolicy),
    /** Overrides windows, leases, metered links and deferrals, by name of who asks. */
    urgent: Type.Optional(Type.Literal(true)),
    egressBytesPerSecond: Type.Optional(EgressRate),
  },
  Closed,
);
export type StartRollout = Static<typeof StartRollout>;

export const CheckWindows = Type.Object(
  {
    windows: Type.Unsafe<NonNullable<UpdatePolicy['windows']>>(updatePolicySchema.properties.windows),
  },
  Closed,
);
export type CheckWindows = Static<typeof CheckWindows>;
export const WindowsInWords = Type.Object({ words: Type.Array(Type.String()) });
export type WindowsInWords = Static<typeof WindowsInWords>;

export const AskUpdateSizes = Type.Object(
  {
    releaseId: Type.String({ maxLength: 36 }),
    devices: Type.Array(Type.String(), { maxItems: 10_000, uniqueItems: true }),
  },
  Closed,
);
export type AskUpdateSizes = Static<typeof AskUpdateSizes>;
/** What an update sends to each device, by what the devices run now: one item for each release, platform and system. */
export const UpdateSizes = Type.Object({
  items: Type.Array(
    Type.Object({
      /** Null = no release, or none that this server knows. */
      base: Nullable(ReleaseRef),
      platform: Type.String(),
      /** Whose system the release brings; absent = it brings none for these devices. */
      board: Type.Optional(Type.String()),
      devices: Type.Integer(),
      wireBytes: Type.Integer({ description: 'to each device, by delta where there is one' }),
      fullBytes: Type.Integer({
        description: 'to each device if it held none of the layers it lacks in any version',
      }),
      /** False while deltas are being made: `wireBytes` is then the most that it can be. */
      isFinal: Type.Boolean(),
    }),
  ),
});
export type UpdateSizes = Static<typeof UpdateSizes>;
