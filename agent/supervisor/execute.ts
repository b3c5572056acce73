import type { Reason, ReasonCode } from '../../protocol/reasons.ts';
import { budgetText, holdsBudget } from './core/budget.ts';
import type { Step } from './core/plan.ts';
import { noteFailure, type ServiceRecord } from './core/record.ts';
import type { CgroupTree, Clock, ContainerRuntime, RootfsStore } from './ports.ts';
import type { ServiceSpec } from './service-spec.ts';

export interface Machine {
  runtime: ContainerRuntime;
  cgroups: CgroupTree;
  rootfs: RootfsStore;
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
    this.code = code;
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
      await machine.rootfs.unmount(service);
      return (record) => ({ ...record, holds: false });
    } catch (error) {
      const cleanupAt = machine.clock.now() + CLEANUP_AGAIN_MS;
      const reason = failure('fail.runtime', error, machine.clock.now());
      return (record) => ({ ...record, cleanupAt, reasons: [reason, ...record.reasons].slice(0, 16) });
    }
  },
  forget: async () => () => undefined,
  'repair-budget': async ({ cgroups }, { service, budget }) => {
    await cgroups.apply(service, budget);
    return unchanged;
  },
  start: async (machine, { spec }) => {
    try {
      await start(machine, spec);
      return unchanged;
    } catch (error) {
      const code = error instanceof StartFailure ? error.code : 'fail.runtime';
      return (record) => noteFailure(record, spec, failure(code, error, machine.clock.now()));
    }
  },
};

/** Executes one step. Rejects only where the next look at the machine tells all there is to know. */
export const execute = (machine: Machine, step: Step): Promise<Outcome> =>
  (executors[step.kind] as (machine: Machine, step: Step) => Promise<Outcome>)(machine, step);

async function start({ runtime, cgroups, rootfs }: Machine, spec: ServiceSpec): Promise<void> {
  const [root] = await Promise.all([
    rootfs.mount(spec),
    ...spec.mounts.map(({ volume, sizeBytes, gid }) => rootfs.volume(volume, sizeBytes, gid)),
  ]).catch((error: unknown) => {
    throw new StartFailure('fail.image', error);
  });
  await runtime.start(spec, root, async () => {
    const held = await cgroups.read(spec.name);
    if (held !== undefined && holdsBudget(spec.resources, held)) return;
    const what = held === undefined ? 'no cgroup' : budgetText(held);
    const message = `Cannot start service "${spec.name}": the kernel holds ${what} instead of ${budgetText(spec.resources)}`;
    throw new StartFailure('fail.budget', new Error(message));
  });
}

const failure = (code: ReasonCode, error: unknown, at: number): Reason => ({
  code,
  message: (error instanceof Error ? error.message : String(error)).slice(0, 500),
  at,
});
