import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ObservedContainer } from '../../agent/supervisor/ports.ts';
import type { DesiredServices, ServiceSpec } from '../../agent/supervisor/service-spec.ts';
import { ASK, answersIn, healthOfWeb, serve } from '../support/asked-service.ts';
import { realSupervisor } from '../support/real-supervisor.ts';
import { serviceSpec } from '../support/service-specs.ts';
import type { SupervisorChildOptions } from '../support/supervisor-child.ts';
import { tinyImage } from '../support/tiny-image.ts';
import { until } from '../support/until.ts';

const CHILD = join(import.meta.dirname, '../support/supervisor-child.ts');
/** One service that starts before it stops, on a segment with one that asks it all the time. */
describe('a service that starts its new version first', () => {
  const dir = mkdtempSync(join(tmpdir(), 'wherry-start-first-'));
  const instance = `f${process.pid}`;
  let parts: ReturnType<typeof realSupervisor>;
  let image: Awaited<ReturnType<typeof tinyImage>>;

  const service = (name: string, script: string, more: Partial<ServiceSpec>): ServiceSpec =>
    serviceSpec(name, {
      layers: [image.verity],
      args: ['/bin/sh', '-c', script],
      network: 'segments',
      segments: [{ name: 'front', aliases: [], isInternal: true }],
      stop: { signal: 'SIGTERM', graceMs: 200 },
      ...more,
    });
  const release = (version: string, looksFor = 'v'): DesiredServices => ({
    release: { name: 'first', version, generation: 1 },
    services: [
      service('client', ASK, {}),
      service('web', serve(version), {
        update: { strategy: 'start-then-stop' },
        restart: {
          policy: 'always',
          backoffInitialMs: 100,
          backoffMaxMs: 100,
          maxAttempts: 2,
          resetAfterMs: 60_000,
        },
        health: healthOfWeb(looksFor),
      }),
    ],
  });
  const start = (): void => {
    parts = realSupervisor(dir, instance, image.blobDir, { isWhole: true });
    parts.supervisor.start();
  };
  const converged = (): Promise<unknown> =>
    until(() => parts.supervisor.health().isConverged, { timeoutMs: 30_000, what: 'the release to be well' });
  const webs = async (): Promise<ObservedContainer[]> =>
    (await parts.runtime.observe()).filter((each) => each.service !== 'client');
  const bothRun = async (): Promise<boolean> =>
    (await webs()).filter(({ state }) => state === 'running').length === 2;
  const pidOf = (name: string): number | undefined =>
    parts.supervisor.statuses().find((status) => status.name === name)?.pid;
  /** What the client was told from then on. */
  const answers = (): string[] => answersIn(readFileSync(join(dir, 'logs', 'client.log'), 'utf8'), 'v1');

  beforeAll(async () => {
    chmodSync(dir, 0o711);
    image = await tinyImage();
    start();
    parts.supervisor.apply(release('v1'));
    await converged();
    await until(() => answers().at(-1) === 'v1', { what: 'the first answer' });
  });
  afterAll(async () => {
    await parts.supervisor.stop({ services: 'stop' });
    rmSync(dir, { recursive: true, force: true });
  });

  test('answers every request while both run and when the old one has gone', async () => {
    const [client, old] = [pidOf('client'), pidOf('web')];
    parts.supervisor.apply(release('v2'));
    await until(bothRun, { what: 'both versions' });
    await converged();
    expect(await webs()).toMatchObject([{ service: 'web.2', state: 'running' }]);
    await until(() => answers().includes('v2'), { what: 'an answer of the new one' });
    expect(answers()).toEqual(['v1', 'v2']);
    expect(pidOf('client')).toBe(client);
    expect(pidOf('web')).not.toBe(old);
    expect(parts.supervisor.statuses().map(({ name }) => name)).toEqual(['client', 'web']);
    expect(parts.supervisor.why('web')?.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['start.spec-changed', 'health.healthy', 'stop.replaced']),
    );
    const { output } = await parts.runtime.exec('web.2', ['/bin/hostname'], AbortSignal.timeout(5000));
    expect(output.trim()).toBe('web');
  });

  test('comes through a death of the agent while both run', async () => {
    const client = pidOf('client');
    await parts.supervisor.stop({ services: 'keep' });
    const path = join(dir, 'options.json');
    const desired = release('v3');
    const options: SupervisorChildOptions = {
      dir,
      instance,
      blobDir: image.blobDir,
      isWhole: true,
      desired,
    };
    writeFileSync(path, JSON.stringify(options));
    const child = spawn(process.execPath, [CHILD, path], { stdio: ['ignore', 'ignore', 'inherit'] });
    const exit = once(child, 'exit');
    await until(bothRun, { timeoutMs: 30_000, what: 'both versions' });
    child.kill('SIGKILL');
    await exit;
    expect(await bothRun()).toBe(true);
    start();
    parts.supervisor.apply(desired);
    await converged();
    expect(await webs()).toMatchObject([{ service: 'web', state: 'running' }]);
    await until(() => answers().includes('v3'), { what: 'an answer of the new one' });
    expect(answers()).toEqual(['v1', 'v2', 'v3']);
    expect(pidOf('client')).toBe(client);
  });

  test('stays as it is when the new version is never well', async () => {
    const old = (await webs())[0];
    parts.supervisor.apply(release('v4', 'missing'));
    await until(() => parts.supervisor.health().isFailed, { timeoutMs: 50_000, what: 'the release to fail' });
    expect((await webs()).filter(({ state }) => state === 'running')).toEqual([old]);
    parts.supervisor.apply(release('v3'));
    await converged();
    expect(await webs()).toEqual([old]);
    expect(answers()).toEqual(['v1', 'v2', 'v3']);
  });
});
