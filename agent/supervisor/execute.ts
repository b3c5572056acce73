import { REASONS, type Reason, type ReasonCode } from '../../protocol/reasons.ts';
import { budgetDrift, budgetText } from './core/budget.ts';
import { noteRebootRefused } from './core/exhaustion.ts';
import type { Step } from './core/plan.ts';
import { noteBlocked, noteFailure, noteStarted, type ServiceRecord, withReason } from './core/record.ts';
import { withoutInstances } from './instance-name.ts';
import type {
  CgroupTree,
  Channels,
  Clock,
  ContainerRuntime,
  Host,
  Networks,
  Place,
  RootfsStore,
} from './ports.ts';
import type { ServiceSpec } from './service-spec.ts';

export interface Machine {
  runtime: ContainerRuntime;
  cgroups: CgroupTree;
  rootfs: RootfsStore;
  networks: Networks;
  channels: Channels;
  host: Host;
  clock: Clock;
}

/** What a step changes in what is remembered; undefined forgets the service. */
export type Outcome = (record: ServiceRecord) => ServiceRecord | undefined;

type StepOf<K extends Step['kind']> = Extract<Step, { kind: K }>;
type Executors = { [K in Step['kind']]: (machine: Machine, step: StepOf<K>) => Promise<Outcome> };

const CLEANUP_AGAIN_MS = 5_000;
const unchanged: Outcome = (record) => record;

/** A start that failed, with the reason code of the part that did. */
class StartFailure extends Error {
  readonly code: ReasonCode;

  constructor(code: ReasonCode, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.code = ownCode(cause) ?? code;
  }
}

const executors: Executors = {
  stop: async ({ runtime }, { service, signal }) => {
    await runtime.kill(service, signal);
    return unchanged;
  },
  kill: async ({ runtime }, { service }) => {
    await runtime.kill(service, 'SIGKILL');
    return unchanged;
  },
  remove: async (machine, { service }) => {
    try {
      await machine.runtime.remove(service);
      await machine.cgroups.remove(service);
      await machine.networks.detach(service);
      await machine.rootfs.unmount(service);
      return (record) => ({ ...record, holds: false });
    } catch (error) {
      const cleanupAt = machine.clock.now() + CLEANUP_AGAIN_MS;
      const reason = failure('fail.runtime', error, machine.clock.now());
      return (record) => withReason({ ...record, cleanupAt }, reason);
    }
  },
  forget: async () => () => undefined,
  'set-budget': async ({ cgroups }, { service, budget }) => {
    await cgroups.apply(service, budget);
    return unchanged;
  },
  start: async (machine, { spec, reason }) => {
    try {
      await start(machine, spec);
      return (record) => noteStarted(record, reason);
    } catch (error) {
      return startFailed(spec, error, 'fail.runtime', machine.clock.now());
    }
  },
  reboot: async ({ host, clock }, { reason }) => {
    const answer = await host.reboot(reason.message);
    return answer === 'accepted' ? unchanged : (record) => noteRebootRefused(record, answer, clock.now());
  },
};

/** Executes one step. Rejects only where the next look at the machine tells all there is to know. */
export const execute = (machine: Machine, step: Step): Promise<Outcome> =>
  (executors[step.kind] as (machine: Machine, step: Step) => Promise<Outcome>)(machine, step);

/** What a start that failed changes: `wait.*` is no failure, it is tried again soon and counts for nothing. */
export function startFailed(spec: ServiceSpec, error: unknown, otherwise: ReasonCode, now: number): Outcome {
  const code = ownCode(error) ?? otherwise;
  const reason = failure(code, error, now);
  return code.startsWith('wait.')
    ? (record) => noteBlocked(record, reason)
    : (record) => noteFailure(record, spec, reason);
}

async function start(machine: Machine, spec: ServiceSpec): Promise<void> {
  const { runtime, cgroups } = machine;
  const place = makePlace(machine, spec);
  const settled = place.catch(() => undefined);
  try {
    await runtime.start(spec, place, () => holdBudget(cgroups, spec));
  } finally {
    // Nothing may still be at work when what it made is removed.
    await settled;
  }
}

async function makePlace({ rootfs, networks }: Machine, spec: ServiceSpec): Promise<Place> {
  // Both end before a failure is told.
  const [root, netns] = await Promise.allSettled([rootfs.mount(spec), networks.attach(spec)]);
  return { rootfs: madeBy('fail.image', root), netns: madeBy('fail.network', netns) };
}

/** The runtime set what it must at creation; the rest is written while the process still waits. */
async function holdBudget(cgroups: CgroupTree, { name, resources: wanted }: ServiceSpec): Promise<void> {
  await cgroups.apply(name, wanted);
  const held = await cgroups.read(name);
  const drift = held === undefined ? undefined : budgetDrift(wanted, held, cgroups.degraded(wanted));
  if (drift?.length === 0) return;
  const what = held === undefined ? 'no cgroup' : budgetText(held, drift);
  const message = `Cannot start service "${name}": the kernel holds ${what} instead of ${budgetText(wanted, drift)}`;
  throw new StartFailure('fail.budget', new Error(message));
}

function madeBy<T>(code: ReasonCode, settled: PromiseSettledResult<T>): T {
  if (settled.status === 'fulfilled') return settled.value;
  throw new StartFailure(code, settled.reason);
}

/** The reason code that the error itself carries, if it does: what is missing knows best what that means. */
function ownCode(error: unknown): ReasonCode | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && Object.hasOwn(REASONS, code) ? (code as ReasonCode) : undefined;
}

const failure = (code: ReasonCode, error: unknown, at: number): Reason => ({
  code,
  message: withoutInstances(error instanceof Error ? error.message : String(error)).slice(0, 500),
  at,
});
