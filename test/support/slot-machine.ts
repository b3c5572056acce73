import assert from 'node:assert/strict';
import type { Health } from '../../agent/supervisor/core/health.ts';
import { plan, type Step } from '../../agent/supervisor/core/plan.ts';
import { noShedding } from '../../agent/supervisor/core/shedding.ts';
import { DRAIN_MS, type Slots, slotsOf } from '../../agent/supervisor/core/slots.ts';
import { instancesOf, serviceOf } from '../../agent/supervisor/instance-name.ts';
import type { ServiceSpec } from '../../agent/supervisor/service-spec.ts';
import { serviceSpec } from './service-specs.ts';
import { CHECK, type Running, StepMachine } from './step-machine.ts';

export const SERVICES = ['web', 'bus', 'plain'] as const;
export type Service = (typeof SERVICES)[number];
/** 0 = not in the release. Of web and bus, 4 is a version that stops first. */
export type Versions = Record<Service, number>;

/** web has a health check and needs bus; bus has neither; plain stops first as ever. */
export const releaseOf = (versions: Versions): ServiceSpec[] =>
  SERVICES.filter((name) => versions[name] > 0).map((name) => {
    const startsFirst = name !== 'plain' && versions[name] !== 4;
    return serviceSpec(name, {
      args: [`v${versions[name]}`],
      ...(startsFirst && { update: { strategy: 'start-then-stop' } }),
      ...(name === 'web' && { health: CHECK }),
      ...(name === 'web' && versions.bus > 0 && { dependsOn: { bus: 'started' } }),
    });
  });

/** A machine on which steps take effect, for services that may have two instances; names change as in the reconciler. */
export class SlotMachine extends StepMachine {
  namedSince = new Map<string, number>();
  /** Versions, as the arguments name them, whose health check never succeeds. */
  sick = new Set<string>();
  /** What was started, by digest. */
  known = new Map<string, ServiceSpec>();
  /** The instance to which each name leads. */
  names = new Map<string, string>();
  /** When the agent was started: it has looked at nothing before. */
  bornAt = 0;
  /** Instances that an earlier pass had asked to end. */
  #asked = new Set<string>();

  override serviceAt = (index: number): string => SERVICES[index] ?? 'web';

  pass(): Step[] {
    this.#asked = new Set([...this.records].flatMap(([name, { stopping }]) => (stopping ? [name] : [])));
    for (const spec of this.desired) this.known.set(spec.digest, spec);
    const observed = [...this.containers.values()];
    const world = { observed, records: this.records, health: this.health(), now: this.now };
    const slots = slotsOf({ ...world, desired: this.desired, namedSince: this.namedSince });
    const result = plan({
      ...world,
      desired: slots.desired,
      slots,
      isShuttingDown: this.isShuttingDown,
      isFirstPass: this.isFirstPass,
      oomKills: new Map(),
      budgets: new Map(),
      degraded: new Map(),
      shedding: { ...noShedding(0), level: this.shedLevel },
      holds: this.holds(),
    });
    this.assertHeld(result, (name) => this.specOf(serviceOf(name)) !== undefined);
    if (!this.accept(result)) return result.steps;
    for (const step of result.steps.filter(({ kind }) => kind !== 'start')) this.execute(step);
    this.note(slots);
    for (const step of result.steps.filter(({ kind }) => kind === 'start')) this.execute(step);
    return result.steps;
  }

  override agentDies(): void {
    super.agentDies();
    this.bornAt = this.now;
    this.namedSince.clear();
  }

  note({ outgoing, standby, desired }: Slots): void {
    this.names = new Map(
      [...desired.map(({ name }) => name), ...outgoing.keys()]
        .filter((name) => !standby.has(name))
        .map((name) => [serviceOf(name), name]),
    );
    for (const [service, instance] of this.names) this.#expectNamed(service, instance);
    const named = [...outgoing].flatMap(([name, { by }]) => (standby.has(name) ? [by] : []));
    for (const name of this.namedSince.keys()) if (!named.includes(name)) this.namedSince.delete(name);
    for (const name of named) if (!this.namedSince.has(name)) this.namedSince.set(name, this.now);
  }

  /** Nobody is led to what is ending while another one runs. */
  #expectNamed(service: string, instance: string): void {
    const staying = this.of(service).filter(({ service: name }) => !this.#asked.has(name));
    if (this.specOf(service)?.update?.strategy && staying.length > 0 && !this.isShuttingDown)
      assert.ok(!this.#asked.has(instance), `${service} leads to ${instance}, which is ending`);
  }

  health = (): Map<string, Health> =>
    this.now === this.bornAt ? new Map<string, Health>() : this.healthBy(this.isWell);

  isWell = ({ specDigest }: Running): boolean => !this.sick.has(this.known.get(specDigest)?.args[0] ?? '');

  of = (service: string): Running[] =>
    instancesOf(service).flatMap((name) => this.running().filter((each) => each.service === name));

  specOf = (service: string): ServiceSpec | undefined => this.desired.find(({ name }) => name === service);

  execute(step: Step): void {
    const { service: name } = step;
    const container = this.containers.get(name);
    if (step.kind === 'stop') this.stop(step, container as Running);
    if (step.kind === 'kill') this.exit(name, 137);
    if (step.kind === 'forget') this.records.delete(name);
    if (step.kind === 'remove') this.remove(name);
    if (step.kind === 'start') this.start(step.spec);
  }

  /** An old version that a service has in force ends only for a new one that is well. */
  stop({ service: name, reason }: Extract<Step, { kind: 'stop' }>, container: Running): void {
    const service = serviceOf(name);
    const spec = this.specOf(service);
    const others = this.of(service).filter((other) => other.service !== name);
    if (spec?.update?.strategy && !this.isShuttingDown && container.specDigest !== spec.digest) {
      const successor = others.find(({ specDigest }) => specDigest === spec.digest);
      const isRightful = successor !== undefined && this.isWell(successor);
      const isAsked = this.#asked.has(name);
      if (reason.code === 'stop.replaced' && !isAsked) {
        assert.ok(isRightful, `${name} leaves for nobody`);
        assert.equal(this.names.get(service), successor.service, 'nobody comes to what ends');
        assert.ok(this.now - (this.namedSince.get(successor.service) ?? this.now) >= DRAIN_MS);
      }
      if (reason.code === 'stop.spec-changed' && !isAsked)
        assert.ok(others.length > 0, `${name} is the only one and stops`);
      assert.notEqual(reason.code, 'stop.not-desired');
    }
    if (this.obeysTerm) this.exit(name, 0);
  }

  start(spec: ServiceSpec): void {
    const { name } = spec;
    assert.ok(!this.containers.has(name), 'one container an instance');
    const others = this.of(serviceOf(name));
    assert.ok(others.length === 0 || spec.update?.strategy !== undefined, `${name} starts beside another`);
    if (this.failsStart) this.refuse(spec);
    else this.launch(spec);
  }

  exit(name: string, exitCode: number): void {
    this.end(name, exitCode);
  }

  settle = (): void => this.letTimePass(120, () => this.pass());
}
