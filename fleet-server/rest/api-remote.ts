/** Bodies of what users have a device tell and do while they look on. */
import { type Static, Type } from 'typebox';
import type { Reason } from '../../protocol/reasons.ts';
import type { Answer } from '../../protocol/remote.ts';
import type { CallEnd } from '../remote/remote-call.ts';
import { Closed, Time } from './api-parts.ts';

const Side = Type.Integer({ minimum: 1, maximum: 1000 });
export const TerminalSize = Type.Object({ columns: Side, rows: Side }, Closed);

export const LogsQuery = Type.Object(
  {
    tail: Type.Integer({ minimum: 0, maximum: 10_000, default: 200 }),
    follow: Type.Boolean({ default: false }),
  },
  Closed,
);

export const WhyAnswer = Type.Object({
  service: Type.String(),
  state: Type.Optional(Type.String()),
  since: Type.Optional(Time),
  /** Newest first. */
  reasons: Type.Array(Type.Unsafe<Reason>({ type: 'object', additionalProperties: true })),
});
export type WhyAnswer = Static<typeof WhyAnswer>;

/** The device took it; what became of it is in its history. */
export const Taken = Type.Object({ result: Type.Literal('accepted') });

export const RebootDevice = Type.Object(
  { confirm: Type.String({ maxLength: 63, description: 'the id of the device, once more' }) },
  Closed,
);

export const RunProgram = Type.Object(
  {
    argv: Type.Array(Type.String({ maxLength: 4096 }), { minItems: 1, maxItems: 64 }),
    /** Absent = its input and output are pipes. */
    terminal: Type.Optional(TerminalSize),
  },
  Closed,
);

/** What somebody types to a program that runs; one of them or more. */
export const TypeIn = Type.Object(
  {
    input: Type.Optional(Type.String({ maxLength: 4096, description: 'text' })),
    endInput: Type.Optional(Type.Literal(true)),
    resize: Type.Optional(TerminalSize),
  },
  Closed,
);

/** A log, or a program that runs, as lines of JSON: one `begun`, then what comes, at last `end`. */
export type RemoteEvent =
  | { begun: { session: string; endsAt: number } }
  | { lines: NonNullable<Answer['lines']> }
  /** base64 */
  | { data: string; stream: 'stdout' | 'stderr' }
  | { end: CallEnd };
