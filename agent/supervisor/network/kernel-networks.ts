import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Networks, NetworkUse } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { bridgeBatch, staleBatch } from './core/links.ts';
import { nameFiles, resolvConf } from './core/name-service.ts';
import { rulesetText } from './core/nft.ts';
import { isWiredAs, planAttach, planDetach, planPrepare, withPhase } from './core/plan.ts';
import { addressOf, EMPTY, type NetworkState, type Owned, seatsOf, segments, vethOf } from './core/state.ts';
import { feedLines } from './feed.ts';
import { NameServers } from './name-servers.ts';
import { bytesOf, groundFor, ownedBy, presentLinks } from './owned-links.ts';
import { repairAll } from './repair.ts';
import { Rules } from './rules.ts';
import { RulesWatch } from './rules-watch.ts';
import { readState, replaceFile } from './state-file.ts';
import { setSysctls } from './sysctl.ts';
import { isInhabited, isWhole, namespaces, netnsPath, unwire, wire } from './wire.ts';

/** Where a service's `/etc/resolv.conf` lies on the host; the container has it mounted read-only. */
export const resolvConfPath = (runDir: string, service: string): string =>
  join(runDir, 'network', service, 'resolv.conf');

/**
 * Networks out of the kernel's own parts (docs/adr/0009): bridges, veth pairs, nftables, token buckets; aardvark-dns for
 * names. The state is written before the kernel is touched, so whatever was cut half-way is known to the next call.
 */
export class KernelNetworks implements Networks {
  readonly #instance: string;
  readonly #runDir: string;
  readonly #owned: Owned;
  readonly #rules: Rules;
  readonly #names: NameServers;
  readonly #watch: RulesWatch;
  readonly #watchers = new Set<() => void>();
  #isLookDue = false;
  #state: NetworkState;
  #busy: Promise<unknown> = Promise.resolve();

  constructor({ instance, runDir }: { instance: string; runDir: string }) {
    this.#instance = instance;
    this.#runDir = runDir;
    this.#owned = ownedBy(instance);
    this.#rules = new Rules(this.#owned, this.#file('.rules'));
    this.#names = new NameServers(this.#file('.names'));
    this.#watch = new RulesWatch(this.#owned.table, () => this.#lookSoon());
    this.#state = readState(this.#file('.state.json'));
  }

  prepare(services: readonly ServiceSpec[], standby?: ReadonlySet<string>): Promise<void> {
    return this.#alone(async () => {
      const wanted = new Set(services.map(({ name }) => name));
      for (const [service, { phase }] of Object.entries(this.#state.members)) {
        const isLeft = phase === 'wired' && !wanted.has(service) && !isInhabited(this.#owned, service);
        if (phase === 'begun' || isLeft) await this.#clear(service);
      }
      const ground = groundFor(this.#instance, this.#owned);
      await this.#bringTo(planPrepare(this.#state, services, ground, standby));
    });
  }

  attach(spec: ServiceSpec): Promise<string | undefined> {
    return this.#alone(async () => {
      if (spec.network !== 'segments') {
        await this.#detach(spec.name);
        return undefined;
      }
      const member = this.#state.members[spec.name];
      const stands = member?.phase === 'wired' && isWiredAs(member, spec);
      if (!stands || !isWhole(this.#owned, this.#state, spec.name)) await this.#rewire(spec);
      return netnsPath(this.#owned, spec.name);
    });
  }

  detach(service: string): Promise<void> {
    return this.#alone(() => this.#detach(service));
  }

  observe(service: string): NetworkUse | undefined {
    if (this.#state.members[service]?.phase !== 'wired') return undefined;
    const use: NetworkUse = { addresses: {}, receivedBytes: 0, sentBytes: 0 };
    for (const { name, slot, host } of seatsOf(this.#state, service)) {
      const { receivedBytes, sentBytes } = bytesOf(vethOf(this.#owned, slot, host));
      use.addresses[name] = addressOf(slot, host);
      // What the host's end receives is what the service sent.
      use.receivedBytes += sentBytes;
      use.sentBytes += receivedBytes;
    }
    return use;
  }

  repair(): Promise<string[]> {
    // It may have ended; what it did not hear is looked for here.
    this.#listen();
    return this.#alone(() =>
      repairAll({ owned: this.#owned, state: this.#state, rules: this.#rules, names: this.#names }),
    );
  }

  watch(onLost: () => void): () => void {
    this.#watchers.add(onLost);
    this.#listen();
    return () => {
      this.#watchers.delete(onLost);
      if (this.#watchers.size === 0) this.#watch.stop();
    };
  }

  destroy(): Promise<void> {
    return this.#alone(async () => {
      const known = [...Object.keys(this.#state.members), ...namespaces(this.#owned)];
      for (const service of new Set(known)) await unwire(this.#owned, this.#state, service);
      await this.#bringTo(EMPTY);
    });
  }

  #listen(): void {
    if (this.#watchers.size > 0 && segments(this.#state).length > 0) this.#watch.resume();
  }

  /** Changes of our own are heard too: they are told from others' by looking, once for many. */
  #lookSoon(): void {
    if (this.#isLookDue) return;
    this.#isLookDue = true;
    void this.#alone(async () => {
      this.#isLookDue = false;
      if (segments(this.#state).length === 0 || (await this.#rules.areWhole())) return;
      for (const tell of this.#watchers) tell();
    });
  }

  async #rewire(spec: ServiceSpec): Promise<void> {
    // What stands of it may be of another wiring or cut half-way; nothing runs in it.
    await unwire(this.#owned, this.#state, spec.name);
    await this.#bringTo(planAttach(this.#state, spec, groundFor(this.#instance, this.#owned)));
    replaceFile(resolvConfPath(this.#runDir, spec.name), resolvConf(this.#state, spec.name));
    await wire(this.#owned, this.#state, spec.name);
    this.#save(withPhase(this.#state, spec.name, 'wired'));
  }

  async #detach(service: string): Promise<void> {
    if (this.#state.members[service] === undefined) return;
    await this.#clear(service);
    await this.#bringTo(planDetach(this.#state, service));
  }

  /** Removes a service's links; its addresses stay reserved. */
  async #clear(service: string): Promise<void> {
    this.#save(withPhase(this.#state, service, 'begun'));
    await unwire(this.#owned, this.#state, service);
    rmSync(this.#file(service), { recursive: true, force: true });
    this.#save(withPhase(this.#state, service, 'absent'));
  }

  /** Writes the state down, then makes everything but the services' own links so. */
  async #bringTo(state: NetworkState): Promise<void> {
    const isUsed = segments(state).length > 0;
    const present = presentLinks(this.#owned);
    // A device whose services are on no segment needs none of the programs.
    if (!isUsed && present.size === 0 && !existsSync(this.#file(''))) return;
    this.#save(state);
    if (isUsed) await this.#build(state, present);
    await feedLines('ip', ['-batch', '-'], staleBatch(this.#owned, state, present));
    if (isUsed) return;
    this.#names.stop();
    this.#watch.stop();
    await this.#rules.remove();
    rmSync(this.#file(''), { recursive: true, force: true });
  }

  async #build(state: NetworkState, present: ReadonlySet<string>): Promise<void> {
    await feedLines('ip', ['-batch', '-'], bridgeBatch(this.#owned, state, present));
    setSysctls(this.#owned, state);
    await this.#rules.ensure(rulesetText(this.#owned, state));
    this.#listen();
    await this.#names.serve(nameFiles(state));
  }

  #save(state: NetworkState): void {
    replaceFile(this.#file('.state.json'), JSON.stringify(state));
    this.#state = state;
  }

  #file(name: string): string {
    return join(this.#runDir, 'network', name);
  }

  /** One at a time: each looks at the kernel and then changes it. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#busy.then(work, work);
    this.#busy = result.catch(() => undefined);
    return result;
  }
}
