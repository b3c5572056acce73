import { beforeEach, expect, test } from 'vitest';
import { LIMITS } from '../../protocol/limits.ts';
import { parseRole } from '../../protocol/tuf.ts';
import { TestRepository } from '../../test/support/test-repository.ts';
import { checkDelegated, checkTargets, walkRoots } from './trust.ts';

const NOW = Date.parse('2026-06-01T00:00:00Z');
let repository: TestRepository;
beforeEach(() => {
  repository = new TestRepository();
});

const text = (object: string) => repository.objects.get(object)?.toString() ?? '';
const root = (version: number) => parseRole('root', text(`root-${version}`));
const newestTargets = () => text(`targets-${repository.versions.targets}`);
const trusted = () => parseRole('targets', newestTargets());
const refusal = (act: () => unknown): string | undefined => {
  try {
    act();
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  }
};

test('the first root is pinned when it signed itself; none at all is refused', () => {
  const { fresh, root: pinned } = walkRoots(undefined, [text('root-1')], NOW);
  expect(fresh.map(({ text: kept }) => kept)).toEqual([text('root-1')]);
  expect(pinned.signed.version).toBe(1);
  expect(refusal(() => walkRoots(undefined, [], NOW))).toBe('malformed');
  repository.versions.root = 0;
  repository.signRoot([repository.newKey()]);
  expect(refusal(() => walkRoots(undefined, [text('root-1')], NOW))).toBe('signature');
});

test('roots are walked one by one, and those in force or before are passed over', () => {
  repository.rotate('root');
  repository.rotate('root', 'targets');
  const walked = walkRoots(root(1), [text('root-1'), text('root-2'), text('root-3')], NOW);
  expect(walked.fresh.map(({ metadata }) => metadata.signed.version)).toEqual([2, 3]);
  expect(walked.root.signed.version).toBe(3);
  expect(walkRoots(root(3), [text('root-1'), text('root-2')], NOW).fresh).toEqual([]);
});

test('a root left out, by new keys alone, another of the same version, expired or too large is refused', () => {
  const first = root(1);
  repository.rotate('root');
  repository.rotate('root');
  expect(refusal(() => walkRoots(first, [text('root-3')], NOW))).toBe('rollback');

  repository.versions.root = 1;
  const thief = repository.newKey();
  repository.signRoot([thief], [thief]);
  expect(refusal(() => walkRoots(first, [text('root-2')], NOW))).toBe('signature');

  const other = new TestRepository();
  const foreign = other.objects.get('root-1')?.toString() ?? '';
  expect(refusal(() => walkRoots(first, [foreign], NOW))).toBe('mismatch');

  expect(refusal(() => walkRoots(first, [], Date.parse('2099-01-01T00:00:00Z')))).toBe('expired');
  expect(refusal(() => walkRoots(first, [' '.repeat(LIMITS.rootBytes + 1)], NOW))).toBe('malformed');
});

test('newer targets by the right key are accepted, with who signed them; the same again are not new', () => {
  const before = trusted();
  repository.publish('1.0.0', []);
  const checked = checkTargets(root(1), before, newestTargets(), NOW);
  expect(checked).toMatchObject({ isNew: true, text: newestTargets() });
  expect(checked.signedBy).toEqual(root(1).signed.roles['targets']?.keyIDs);
  expect(checkTargets(root(1), trusted(), newestTargets(), NOW).isNew).toBe(false);
});

test('targets that are older, of the same version, changed, expired, too large or by another key are refused', () => {
  const check = (content: string, now = NOW, floor = trusted()) =>
    refusal(() => checkTargets(root(1), floor, content, now));
  repository.publish('1.0.0', []);
  const older = text('targets-1');
  expect(check(older)).toBe('rollback');

  const floor = trusted();
  repository.versions.targets--;
  repository.publish('1.1.0', []);
  expect(check(newestTargets(), NOW, floor)).toBe('rollback');

  repository.publish('1.0.0', [], { boards: ['raspberry-pi-4'] });
  expect(check(newestTargets(), NOW, floor)).toBe('mismatch');

  expect(check(newestTargets(), Date.parse('2099-01-01T00:00:00Z'))).toBe('expired');
  expect(check(' '.repeat(LIMITS.targetsBytes + 1))).toBe('malformed');
  repository.signTargets(repository.newKey());
  expect(check(newestTargets())).toBe('signature');
});

test('a floor that goes down, or is none, and a counter that changes are refused', () => {
  repository.publish('1.0.0', []);
  repository.floors = { demo: 1 };
  repository.signTargets();
  const floor = trusted();
  const check = () => refusal(() => checkTargets(root(1), floor, newestTargets(), NOW));
  repository.floors = { demo: 2 };
  repository.signTargets();
  expect(check()).toBeUndefined();
  repository.floors = {};
  repository.signTargets();
  expect(check()).toBe('rollback');
  repository.floors = { demo: 1.5 };
  expect(() => repository.signTargets()).toThrow('no canonical form');
  repository.floors = { demo: -1 };
  repository.signTargets();
  expect(check()).toBe('malformed');
});

const checkTeams = (uploaded: Record<string, string>, before = new Map()) =>
  checkDelegated(trusted(), before, uploaded, NOW);

test('a delegated role is held to the keys and paths that targets give it', () => {
  const team = { paths: ['releases/camera/*/*'], by: repository.newKey(), releases: [] };
  repository.delegated.set('camera', team);
  repository.signTargets();
  const camera = () => text(`delegated-camera-${repository.versions.targets}`);
  const { fresh, inForce } = checkTeams({ camera: camera() });
  expect([...fresh.keys(), ...inForce.keys()]).toEqual(['camera', 'camera']);
  expect([...checkTeams({}, inForce).fresh.keys()]).toEqual([]);
  expect([...checkTeams({}, inForce).inForce.keys()]).toEqual(['camera']);
  expect(refusal(() => checkTeams({ other: camera() }))).toBe('mismatch');
  const former = camera();
  repository.signTargets();
  expect(refusal(() => checkTeams({ camera: former }, checkTeams({ camera: camera() }).inForce))).toBe(
    'rollback',
  );
  team.by = repository.newKey();
  repository.signTargets();
  // The role's keys changed: what stands there is theirs no more, so that they have to sign anew first.
  expect(refusal(() => checkTeams({}, inForce))).toBe('signature');
  expect(refusal(() => checkTeams({ camera: camera() }, inForce))).toBeUndefined();
});
