import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ownedBy } from '../../agent/supervisor/network/owned-links.ts';
import type { DesiredServices, ServiceSpec } from '../../agent/supervisor/service-spec.ts';
import { realSupervisor } from '../support/real-supervisor.ts';
import { serviceSpec } from '../support/service-specs.ts';
import { tinyImage } from '../support/tiny-image.ts';
import { until } from '../support/until.ts';

const segment = (name: string) => ({ name, aliases: [], isInternal: true });

/** Three services in containers with ids of their own: web and client on one segment, stranger on another. */
describe('services on segments', () => {
  const dir = mkdtempSync(join(tmpdir(), 'wherry-segments-'));
  const instance = `g${process.pid}`;
  let parts: ReturnType<typeof realSupervisor>;
  let blobDir: string;
  let desired: DesiredServices;

  beforeAll(async () => {
    // The users of containers must be able to get to their roots.
    chmodSync(dir, 0o711);
    const image = await tinyImage();
    blobDir = image.blobDir;
    parts = realSupervisor(dir, instance, blobDir, { isWhole: true });
    const service = (name: string, script: string, on: string): ServiceSpec =>
      serviceSpec(name, {
        layers: [image.verity],
        args: ['/bin/sh', '-c', script],
        network: 'segments',
        segments: [segment(on)],
        stop: { signal: 'SIGTERM', graceMs: 200 },
      });
    desired = {
      release: { name: 'segments', version: '1', generation: 1 },
      services: [
        service('web', 'exec httpd -f -p 8080 -h /etc', 'front'),
        service('client', 'exec sleep 1000', 'front'),
        service('stranger', 'exec sleep 1000', 'back'),
      ],
    };
    parts.supervisor.start();
    parts.supervisor.apply(desired);
    await until(() => parts.supervisor.health().isConverged, {
      timeoutMs: 30_000,
      what: 'the services to run',
    });
  });
  afterAll(async () => {
    await parts.supervisor.stop({ services: 'stop' });
    rmSync(dir, { recursive: true, force: true });
  });

  const addressOf = (service: string): string =>
    Object.values(parts.networks.observe(service)?.addresses ?? {})[0] ?? '';
  /** What the name service tells the container, through its own resolv.conf. */
  const lookUp = async (from: string, name: string): Promise<string> =>
    (await parts.runtime.exec(from, ['/bin/nslookup', name], AbortSignal.timeout(15_000))).output;
  /** Whether web's port takes a connection from the network namespace of another service's process. */
  const reaches = (from: string): boolean => {
    const pid = parts.supervisor.statuses().find(({ name }) => name === from)?.pid;
    const call = ['-t', String(pid), '-n', 'busybox', 'nc', '-w', '2', addressOf('web'), '8080'];
    return spawnSync('nsenter', call, { input: 'GET / HTTP/1.0\r\n\r\n' }).stdout.includes('404 Not Found');
  };

  test('find each other by name on the same one', async () => {
    expect(addressOf('web')).toMatch(/^10\.212\./);
    expect(await lookUp('client', 'web')).toContain(addressOf('web'));
    expect(await until(() => reaches('client'), { what: 'an answer' })).toBe(true);
  });

  test('do not reach each other across, neither by name nor by address', async () => {
    expect(await lookUp('stranger', 'web')).not.toContain(addressOf('web'));
    expect(reaches('stranger')).toBe(false);
  });

  test('have user ids that no other service has', async () => {
    const maps = await Promise.all(
      ['web', 'client', 'stranger'].map(async (name) => {
        const { output } = await parts.runtime.exec(
          name,
          ['/bin/cat', '/proc/self/uid_map'],
          AbortSignal.timeout(5_000),
        );
        return output.trim().split(/\s+/)[1];
      }),
    );
    expect(new Set(maps).size).toBe(3);
    for (const first of maps) expect(Number(first)).toBeGreaterThanOrEqual(2_000_000_000);
  });

  test('are told of when their rules were lost while no agent ran', async () => {
    await parts.supervisor.stop({ services: 'keep' });
    execFileSync('nft', ['delete', 'table', 'inet', ownedBy(instance).table]);
    parts = realSupervisor(dir, instance, blobDir, { isWhole: true });
    parts.supervisor.start();
    parts.supervisor.apply(desired);
    await until(() => parts.events.some(({ code }) => code === 'repair.network'), { what: 'the report' });
    await until(() => parts.supervisor.health().isConverged, { what: 'the services taken over' });
    expect(reaches('stranger')).toBe(false);
    expect(await until(() => reaches('client'), { what: 'an answer' })).toBe(true);
  });
});
