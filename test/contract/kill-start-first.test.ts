import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serviceOf } from '../../agent/supervisor/instance-name.ts';
import type { ObservedContainer } from '../../agent/supervisor/ports.ts';
import type { DesiredServices, ServiceSpec } from '../../agent/supervisor/service-spec.ts';
import { ASK, answersIn, healthOfWeb, serve } from '../support/asked-service.ts';
import { cutAgent, effectsCut, told } from '../support/cut-agent.ts';
import { tracesOf } from '../support/machine.ts';
import { realSupervisor } from '../support/real-supervisor.ts';
import { shellService } from '../support/service-specs.ts';
import { type TinyImage, tinyImage } from '../support/tiny-image.ts';
import { until } from '../support/until.ts';

/** Each cut is a switch of its own, of about four seconds; beside other work of many times that. */
const MANY_CUTS_MS = 1_800_000;
const SWITCH_MS = 120_000;

const dir = mkdtempSync(join(tmpdir(), 'wherry-kill-start-first-'));
const instance = `kf${process.pid}`;
let image: TinyImage;

const service = (name: string, script: string, more: Partial<ServiceSpec> = {}): ServiceSpec =>
  shellService(image.verity, name, script, {
    network: 'segments',
    segments: [{ name: 'front', aliases: [], isInternal: true }],
    ...more,
  });
const webOf = (version: string): ServiceSpec =>
  service('web', serve(version, 0), {
    update: { strategy: 'start-then-stop' },
    health: healthOfWeb('v', 100),
  });
const release = (...services: ServiceSpec[]): DesiredServices => ({
  release: { name: 'first', version: '1', generation: 1 },
  services,
});
const supervisor = () => realSupervisor(dir, instance, image.blobDir, { isWhole: true });
const clientOf = (seen: ObservedContainer[]) => seen.find((each) => each.service === 'client');
const answers = (): string[] => answersIn(readFileSync(join(dir, 'logs/client.log'), 'utf8'), 'v0');

/** An agent that lives: brings the machine to this, and leaves it so. What it saw running then. */
async function bringTo(desired: DesiredServices, what: string): Promise<ObservedContainer[]> {
  const parts = supervisor();
  try {
    parts.supervisor.start();
    parts.supervisor.apply(desired);
    await until(() => parts.supervisor.health().isConverged, { timeoutMs: SWITCH_MS, what });
    return await parts.runtime.observe();
  } finally {
    await parts.supervisor.stop({ services: 'keep' });
  }
}

beforeAll(async () => {
  chmodSync(dir, 0o711);
  image = await tinyImage();
});
afterAll(async () => {
  const parts = supervisor();
  parts.supervisor.start();
  parts.supervisor.apply(release());
  await parts.supervisor.stop({ services: 'stop' });
  const left = Object.values(tracesOf(instance, dir)).flat();
  rmSync(dir, { recursive: true, force: true });
  if (left.length > 0) throw new Error(`Left behind:\n${left.join('\n')}`);
}, 60_000);

test(
  'an agent killed at every effect of a switch that starts first: no request fails, one version runs in the end',
  async () => {
    const client = service('client', ASK);
    const before = await bringTo(release(client, webOf('v0')), 'the first version');
    await until(() => answers().at(-1) === 'v0', { what: 'the first answer' });
    const names: string[] = [];
    for (let name = ' '; name !== ''; ) {
      const version = `v${names.length + 1}`;
      const desired = release(client, webOf(version));
      const all = { dir, instance, blobDir: image.blobDir, isWhole: true, desired };
      name = await cutAgent({ ...all, cutAt: names.length + 1 });
      const when = `cut ${name || 'nowhere'}`;
      const seen = await bringTo(desired, `the switch, ${when}`);
      const webs = seen.filter((each) => serviceOf(each.service) === 'web');
      expect(webs, `containers, ${when}`).toMatchObject([
        { state: 'running', specDigest: webOf(version).digest },
      ]);
      expect(clientOf(seen), `who asks, ${when}`).toEqual(clientOf(before));
      await until(() => answers().at(-1) === version, { what: `an answer of ${version}, ${when}` });
      const { namespaces, links } = tracesOf(instance, dir);
      expect([namespaces.length, links.length], `namespaces and links, ${when}`).toEqual([2, 3]);
      if (name !== '') names.push(name);
    }
    told('a switch that starts first', names);
    expect(answers()).not.toContain('FAILED');
    expect(effectsCut(names)).toEqual(
      expect.arrayContaining(['runtime.start', 'networks.prepare', 'runtime.kill']),
    );
  },
  MANY_CUTS_MS,
);
