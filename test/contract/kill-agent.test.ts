import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serviceChannel } from '../../agent/supervisor/from-manifest.ts';
import type { DesiredServices, ServiceSpec } from '../../agent/supervisor/service-spec.ts';
import { commandLines } from '../support/command-lines.ts';
import { cutAgent, effectsCut, told } from '../support/cut-agent.ts';
import { tracesOf } from '../support/machine.ts';
import { realSupervisor } from '../support/real-supervisor.ts';
import { shellService } from '../support/service-specs.ts';
import type { SupervisorChildOptions } from '../support/supervisor-child.ts';
import { type TinyImage, tinyImage } from '../support/tiny-image.ts';
import { until } from '../support/until.ts';

/** Recognised among all processes of the machine. */
const NAP = `sleep 78${process.pid}`;
const MANY_CUTS_MS = 600_000;

/** Of the victim with itself. */
const CHANNEL = serviceChannel('loop', {
  publishers: ['victim'],
  subscribers: ['victim'],
  slotSizeBytes: 4096,
  depth: 4,
  mode: 'lossy',
});

const release = (...services: ServiceSpec[]): DesiredServices => ({
  release: { name: 'kill', version: '1', generation: 1 },
  services,
});
const naps = (): number => commandLines().filter((line) => line.startsWith(NAP)).length;

/**
 * The whole supervisor in a process of its own, killed at each of its effects on the machine in turn: records, cgroups,
 * mounts, networks, containers. Whatever it leaves, the next one makes good; the last words are the machine's.
 */
describe('an agent killed at every effect of', () => {
  const dir = mkdtempSync(join(tmpdir(), 'wherry-kill-agent-'));
  const instance = `k${process.pid}`;
  let image: TinyImage;
  beforeAll(async () => {
    // The users of containers must be able to get to their roots.
    chmodSync(dir, 0o711);
    image = await tinyImage();
  });
  afterAll(async () => {
    await takeDown();
    rmSync(dir, { recursive: true, force: true });
  });

  const victim = (extra: Partial<ServiceSpec> = {}): ServiceSpec =>
    shellService(image.verity, 'victim', `trap "exit 0" TERM; ${NAP} & wait`, {
      network: 'segments',
      segments: [{ name: 'lan', aliases: [], isInternal: true }],
      channels: [CHANNEL],
      mounts: [{ volume: 'shared', path: '/data', readOnly: false, gid: 2000, sizeBytes: 65_536 }],
      ...extra,
    });
  const supervisor = () => realSupervisor(dir, instance, image.blobDir, { isWhole: true });

  /** An agent that lives: brings the machine to this, and goes without a trace of its own. */
  async function bringTo(desired: DesiredServices): Promise<void> {
    const parts = supervisor();
    parts.supervisor.start();
    parts.supervisor.apply(desired);
    await until(() => parts.supervisor.health().isConverged && isSettled(parts, desired), {
      timeoutMs: 30_000,
      what: 'the services to be as desired',
    });
    await parts.supervisor.stop({ services: 'keep' });
  }
  const isSettled = (parts: ReturnType<typeof supervisor>, { services }: DesiredServices): boolean =>
    parts.supervisor.statuses().length === services.length;

  async function takeDown(): Promise<void> {
    const parts = supervisor();
    parts.supervisor.start();
    parts.supervisor.apply(release());
    await parts.supervisor.stop({ services: 'stop' });
  }

  /** Each cut in turn, until the agent comes to its end uncut; their names. */
  async function atEach(
    options: () => Pick<SupervisorChildOptions, 'desired' | 'untilEvent' | 'takesDown'>,
    before: () => Promise<void>,
    after: (name: string) => Promise<void>,
  ): Promise<string[]> {
    const names: string[] = [];
    for (;;) {
      await before();
      const all = { dir, instance, blobDir: image.blobDir, isWhole: true, ...options() };
      const name = await cutAgent({ ...all, cutAt: names.length + 1 });
      await after(name);
      if (name === '') return names;
      names.push(name);
    }
  }

  /** One container, on its network, in its budget: what the kernel and the process table show. */
  async function expectOne(spec: ServiceSpec, when: string): Promise<void> {
    await until(() => naps() > 0, { what: `a process, cut ${when}` });
    expect(naps(), `processes, cut ${when}`).toBe(1);
    const lines = commandLines();
    const monitors = lines.filter((line) => /\bconmon\b/.test(line) && line.includes(`wherry-${instance}-`));
    expect(monitors.length, `monitors, cut ${when}`).toBe(1);
    const parts = supervisor();
    expect(await parts.runtime.observe(), `containers, cut ${when}`).toMatchObject([
      { service: 'victim', state: 'running', specDigest: spec.digest },
    ]);
    expect(await parts.cgroups.read('victim'), `budget, cut ${when}`).toMatchObject(spec.resources);
    expect(readdirSync(join(dir, 'run/channels')), `channels, cut ${when}`).toEqual([CHANNEL.id]);
    const { namespaces, links, mounts } = tracesOf(instance, dir);
    expect(mounts.filter((line) => line.includes(CHANNEL.id)).length, `channel mounts, cut ${when}`).toBe(1);
    expect([namespaces.length, links.length], `namespaces and links, cut ${when}`).toEqual([1, 2]);
  }
  const expectNothing = (when: string): void =>
    expect(
      Object.entries(tracesOf(instance, dir)).filter(([, found]) => found.length > 0),
      `left, cut ${when}`,
    ).toEqual([]);

  test(
    'a start: the next one has exactly one container, and nothing is left of it in the end',
    async () => {
      const spec = victim();
      const names = await atEach(
        () => ({ desired: release(spec) }),
        async () => {},
        async (when) => {
          await bringTo(release(spec));
          await expectOne(spec, when);
          await takeDown();
          expectNothing(when);
        },
      );
      told('start', names);
      expect(effectsCut(names)).toEqual(
        expect.arrayContaining(['runtime.start', "runtime.start's callback"]),
      );
    },
    MANY_CUTS_MS,
  );

  test(
    'a removal: the next one removes the rest, and nothing is left',
    async () => {
      const names = await atEach(
        () => ({ desired: release(), takesDown: true }),
        () => bringTo(release(victim())),
        async (when) => {
          await takeDown();
          expectNothing(when);
        },
      );
      told('removal', names);
      expect(effectsCut(names)).toEqual(expect.arrayContaining(['runtime.kill', 'cgroups.destroy']));
    },
    MANY_CUTS_MS,
  );

  test(
    'a change of its specification: the next one has exactly one container, the new one',
    async () => {
      const changed = victim({ environment: { PATH: '/bin', NEW: '1' } });
      const names = await atEach(
        () => ({ desired: release(changed) }),
        () => bringTo(release(victim())),
        async (when) => {
          await bringTo(release(changed));
          await expectOne(changed, when);
        },
      );
      told('change', names);
      expect(effectsCut(names)).toEqual(expect.arrayContaining(['runtime.kill', 'runtime.start']));
    },
    MANY_CUTS_MS,
  );

  test(
    'a repair of its budget: the same process has its whole budget again',
    async () => {
      const spec = victim();
      const pid = () => supervisor().runtime.observe();
      await bringTo(release(spec));
      const before = await pid();
      const { cgroups } = supervisor();
      const names = await atEach(
        () => ({ desired: release(spec), untilEvent: 'repair.budget' }),
        () => cgroups.apply('victim', { memoryMaxBytes: 8 * 1024 ** 2, cpuMax: 0.1, pidsMax: 8 }),
        async (when) => {
          const parts = supervisor();
          parts.supervisor.start();
          parts.supervisor.apply(release(spec));
          const held = async () => (await cgroups.read('victim'))?.pidsMax === spec.resources.pidsMax;
          await until(held, { what: `the budget, cut ${when}` });
          await parts.supervisor.stop({ services: 'keep' });
          await expectOne(spec, when);
        },
      );
      told('repair', names);
      expect(effectsCut(names)).toContain('cgroups.apply');
      expect(await pid()).toEqual(before);
    },
    MANY_CUTS_MS,
  );
});
