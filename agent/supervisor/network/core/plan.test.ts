import { describe, expect, test } from 'vitest';
import { serviceSpec } from '../../../../test/support/service-specs.ts';
import type { ServiceSpec } from '../../service-spec.ts';
import { attachBatch, bridgeBatch, insideBatch, staleBatch, sysctls } from './links.ts';
import { nameFiles, resolvConf } from './name-service.ts';
import { rulesetText } from './nft.ts';
import { isWiredAs, planAttach, planDetach, planPrepare, withPhase } from './plan.ts';
import { bucketsOf, missingBuckets, tcBatch } from './rates.ts';
import { addressOf, EMPTY, type NetworkState, type Owned, seatsOf } from './state.ts';

const OWNED: Owned = { prefix: 'wh1a2b', group: 77, table: 'wherry_agent', netns: 'wherry-agent' };
const GROUND = { first: 10, taken: [11] };

type Parts = Parameters<typeof serviceSpec>[1];
const member = (name: string, names: string[], parts: Parts = {}): ServiceSpec =>
  serviceSpec(name, {
    network: 'segments',
    segments: names.map((segment) => ({ name: segment, aliases: [], isInternal: segment === 'inner' })),
    ...parts,
  });

const WEB = member('web', ['main', 'inner'], { ports: [{ host: 8080, container: 80, protocol: 'tcp' }] });
const STORE = member('store', ['inner']);
const addresses = (state: NetworkState, service: string): string[] =>
  seatsOf(state, service).map(({ slot, host }) => addressOf(slot, host));
const names = (state: NetworkState): string => nameFiles(state).internal['inner%int'] ?? '';
const prepared = planPrepare(EMPTY, [WEB, STORE, serviceSpec('alone')], GROUND);

describe('a plan of the networks', () => {
  test('gives each segment a /24 that the host does not use, and each service an address', () => {
    expect(prepared.slots).toEqual({ main: 10, inner: 12 });
    expect(addresses(prepared, 'web')).toEqual(['10.212.10.2', '10.212.12.2']);
    expect(addresses(prepared, 'store')).toEqual(['10.212.12.3']);
    expect(addresses(prepared, 'alone')).toEqual([]);
  });

  test('keeps addresses over a new release and a restart', () => {
    const running = withPhase(prepared, 'store', 'wired');
    const next = planPrepare(running, [STORE, member('added', ['inner'])], GROUND);
    expect(addresses(next, 'store')).toEqual(['10.212.12.3']);
    expect(addresses(next, 'added')).toEqual(['10.212.12.2']);
    expect(addresses(planDetach(next, 'store'), 'store')).toEqual(['10.212.12.3']);
    expect(next.slots).toEqual({ inner: 12 });
  });

  test('leads the name to one of two instances, and lists the other so that it gets answers', () => {
    const specs = [{ ...STORE, name: 'store.2' }, STORE];
    const starting = planPrepare(EMPTY, specs, GROUND, new Set(['store.2']));
    expect(names(starting)).toContain('10.212.10.3  store ');
    expect(names(starting)).toContain('10.212.10.2  _store.2 ');
    const attached = planAttach(starting, specs[0] as ServiceSpec, GROUND);
    expect(names(attached)).toBe(names(starting));
    const switched = planPrepare(attached, specs, GROUND, new Set(['store']));
    expect(names(switched)).toContain('10.212.10.2  store ');
    expect(names(switched)).toContain('10.212.10.3  _store ');
    expect(names(planPrepare(switched, [specs[0] as ServiceSpec], GROUND))).toContain('10.212.10.2  store ');
  });

  test('holds what runs until it is detached, then gives its segment up', () => {
    const without = planPrepare(withPhase(prepared, 'web', 'wired'), [STORE], GROUND);
    expect(addresses(without, 'web')).toEqual(['10.212.10.2', '10.212.12.2']);
    expect(planDetach(without, 'web').slots).toEqual({ inner: 12 });
  });

  test('tells a service that is wired otherwise', () => {
    const moved = member('store', ['main']);
    const wired = withPhase(prepared, 'store', 'wired');
    expect(isWiredAs(wired.members['store'] as never, STORE)).toBe(true);
    expect(isWiredAs(wired.members['store'] as never, moved)).toBe(false);
    expect(addresses(planAttach(wired, moved, GROUND), 'store')).toEqual(['10.212.10.3']);
  });

  test('lets a port move to another service, but only once the first has left', () => {
    const rival = member('rival', ['main'], { ports: [{ host: 8080, container: 1, protocol: 'tcp' }] });
    const both = planPrepare(withPhase(prepared, 'web', 'wired'), [rival], GROUND);
    expect(rulesetText(OWNED, both)).toMatch(
      /10\.212\.10\.2:80 comment "web"[^]*10\.212\.10\.3:1 comment "rival"/,
    );
    expect(() => planAttach(both, rival, GROUND)).toThrow(
      'Cannot publish tcp port 8080 for service "rival": service "web" has it; stop that or choose another port',
    );
    expect(planAttach(planDetach(both, 'web'), rival, GROUND).members['rival']?.phase).toBe('begun');
  });

  test('refuses the 254th service of a segment', () => {
    const crowd = Array.from({ length: 254 }, (_, index) => member(`s${index}`, ['main']));
    expect(() => planPrepare(EMPTY, crowd, GROUND)).toThrow('all 253 addresses are in use');
  });
});

describe('what the kernel is told', () => {
  test('rules', () => {
    expect(rulesetText(OWNED, prepared)).toMatchSnapshot();
  });

  test('links, as far as they are missing', () => {
    expect(bridgeBatch(OWNED, prepared, new Set(['wh1a2b-10']))).toMatchSnapshot('bridges');
    expect(attachBatch(OWNED, prepared, 'web', new Set(), false)).toMatchSnapshot('outside');
    expect(insideBatch(prepared, 'web')).toMatchSnapshot('inside');
    expect(insideBatch(prepared, 'store')).not.toContain('default');
    expect(staleBatch(OWNED, prepared, new Set(['wh1a2b-10', 'wh1a2b-13', 'wh1a2bv10-2']))).toBe(
      'link del wh1a2b-13\n',
    );
  });

  test('forwarding only for a way out or a published port', () => {
    const router = { path: 'net/ipv4/ip_forward', value: '1' };
    expect(sysctls(OWNED, prepared)).toContainEqual(router);
    expect(sysctls(OWNED, planPrepare(EMPTY, [STORE], GROUND))).not.toContainEqual(router);
  });

  test('a rate in full on each interface, its absence noticed, and their sum in the rules', () => {
    const { resources } = STORE;
    const limited = member('web', ['main', 'inner'], {
      resources: { ...resources, network: { ingressBps: 8_000_000, egressBps: 1_000_000 } },
    });
    const buckets = bucketsOf(OWNED, planPrepare(EMPTY, [limited], GROUND), 'web');
    expect(tcBatch(buckets)).toMatchSnapshot('each');
    const shown = (rate: number): string =>
      JSON.stringify(buckets.map(({ device }) => ({ kind: 'tbf', dev: device, options: { rate } })));
    const ingress = buckets.filter(({ side }) => side === 'host');
    expect(missingBuckets(ingress, shown(1_000_000))).toEqual([]);
    expect(missingBuckets(ingress, shown(1_000_001))).toEqual(ingress);
    expect(missingBuckets(ingress, '[]')).toEqual(ingress);
    const rules = rulesetText(OWNED, planPrepare(EMPTY, [limited], GROUND));
    expect(rules.split('\n').filter((line) => /limit|rate|all_/.test(line))).toMatchSnapshot('sum');
    const single = { ...limited, segments: (limited.segments ?? []).slice(0, 1) };
    expect(rulesetText(OWNED, planPrepare(EMPTY, [single], GROUND))).not.toContain('limit');
  });

  test('names: an internal segment has no upstream', () => {
    expect(nameFiles(prepared)).toMatchSnapshot();
    expect(resolvConf(prepared, 'web')).toBe('nameserver 10.212.10.1\noptions ndots:0\n');
  });
});
