import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasSwapAccounting, openCgroups } from '../../agent/supervisor/cgroup/detect.ts';
import { ErofsRootfs } from '../../agent/supervisor/images/erofs-rootfs.ts';
import { PerlIdMapper } from '../../agent/supervisor/images/id-mapper.ts';
import type { Placement } from '../../agent/supervisor/runtime/oci-spec.ts';
import { ownSysfs } from '../../agent/supervisor/runtime/own-sysfs.ts';
import type { ServiceSpec } from '../../agent/supervisor/service-spec.ts';
import { runContainer } from '../support/run-container.ts';
import { serviceSpec } from '../support/service-specs.ts';
import { type TinyImage, tinyImage } from '../support/tiny-image.ts';

type Parts = Parameters<typeof serviceSpec>[1];

const EPERM = '1';
const ENOSYS = '38';
const EAFNOSUPPORT = '97';

const security = (more: Partial<ServiceSpec['security']>) => ({
  security: { readOnlyRoot: true, capabilities: [], ...more },
});

describe.each(['crun', 'runc'] as const)('a service under %s', (runtime) => {
  const dir = mkdtempSync(join(tmpdir(), `wherry-isolation-${runtime}-`));
  const cgroups = openCgroups(`iso${process.pid}${runtime}`);
  const rootfs = join(dir, 'root');
  const place = (parts: Partial<Placement> = {}): Placement => ({
    rootfs,
    cgroupsPath: cgroups.pathOf('one'),
    volumePath: (volume) => join(dir, volume),
    hasSwapAccounting: hasSwapAccounting(),
    ...parts,
  });
  const run = async (parts: Parts, where: Partial<Placement> = {}): Promise<string> => {
    const { output, exitCode } = await runContainer(runtime, dir, serviceSpec('one', parts), place(where));
    return exitCode === 0 ? output.trim() : `exit ${exitCode}: ${output.trim()}`;
  };
  const sh = (script: string, parts: Parts = {}, where: Partial<Placement> = {}): Promise<string> =>
    run({ args: ['/bin/sh', '-c', script], ...parts }, where);
  /** One process for several calls, each `number arguments…`. */
  const calls = async (list: string[], parts: Parts = {}): Promise<string[]> =>
    (await sh(list.map((call) => `/bin/syscall ${call}`).join('; '), parts)).split('\n');

  let image: TinyImage;
  beforeAll(async () => {
    image = await tinyImage();
    chmodSync(dir, 0o711);
    cpSync(image.folder, rootfs, { recursive: true, verbatimSymlinks: true });
    execFileSync('cc', ['-static', '-o', join(rootfs, 'bin/syscall'), 'test/support/syscall-probe.c']);
  });
  afterAll(async () => {
    await cgroups.destroy();
    rmSync(dir, { recursive: true, force: true });
  });

  describe.runIf(process.arch === 'x64')('system calls (numbers of x86-64)', () => {
    test('what is dangerous is not permitted', async () => {
      const ptrace = '101 0';
      const [mount, umount2, pivotRoot, keyctl, addKey, bpf, perf] = [
        '165',
        '166',
        '155',
        '250',
        '248',
        '321',
        '298',
      ];
      const list = [ptrace, mount, umount2, pivotRoot, keyctl, addKey, bpf, perf, '310', '246', '175', '425'];
      expect(await calls(list as string[])).toEqual(list.map(() => EPERM));
    });

    test('namespaces cannot be made, and clone3 is as if it did not exist', async () => {
      const newUser = 0x10000000;
      expect(
        await calls([`56 ${newUser + 17}`, `272 ${newUser}`, '272 0x80', '308 0', '435', '272 0']),
      ).toEqual([EPERM, EPERM, EPERM, EPERM, ENOSYS, 'ok']);
    });

    test('only the usual families of sockets are there', async () => {
      const [unix, inet, vsock, alg] = ['41 1 1', '41 2 1', '41 40 1', '41 38 5'];
      expect(await calls([unix, inet, vsock, alg] as string[])).toEqual([
        'ok',
        'ok',
        EAFNOSUPPORT,
        EAFNOSUPPORT,
      ]);
    });

    test('a futex of another process cannot be moved, one of the own can', async () => {
      const page = 0x400000;
      const [requeue, cmpRequeue, own, wake] = [3, 4, 3 + 128, 1].map(
        (op) => `202 ${page} ${op} 0 0 ${page}`,
      );
      expect(await calls([requeue, cmpRequeue, own, wake] as string[])).toEqual([EPERM, EPERM, 'ok', 'ok']);
    });

    test('the personality stays', async () => {
      expect(await calls(['135 0xffffffff', '135 0x40000'])).toEqual(['ok', ENOSYS]);
    });

    test('a system call that the manifest names is open, and so are all without the profile', async () => {
      const keyctlGetSession = '250 0 -3 0';
      expect(await calls([keyctlGetSession], security({ syscalls: ['keyctl'] }))).not.toEqual([EPERM]);
      expect(await calls(['272 0x10000000'], security({ seccomp: 'unconfined' }))).toEqual(['ok']);
      expect(await calls(['435'], security({ seccomp: 'unconfined' }))).not.toEqual([ENOSYS]);
    });

    test('a capability opens the calls that it is for', async () => {
      const traceMe = '101 0';
      expect(await calls([traceMe], security({ capabilities: ['CAP_SYS_PTRACE'] }))).toEqual(['ok']);
    });
  });

  test('an ordinary program does what it always did', async () => {
    expect(await sh('(sleep 0; echo a) | cat; ls /proc/self/fd >/dev/null && id -u')).toBe('a\n1000');
  });

  describe('a user namespace', () => {
    const ids = { hostBase: 2_000_000_000 + (process.pid % 1000) * 65_536, size: 65_536 };

    test('has its own ids, hostname, terminals and root without rights outside', async () => {
      const probe = await sh(
        'cat /proc/self/uid_map; hostname; ls /dev/pts; ls /sys/class/net; cat /proc/self/setgroups',
        { uid: 0, gid: 0 },
        { ids },
      );
      expect(probe.split('\n').map((line) => line.trim().replaceAll(/ +/g, ' '))).toEqual([
        `0 ${ids.hostBase} 65536`,
        'one',
        'ptmx',
        'lo',
        'allow',
      ]);
    });

    test('shares a volume by its group with a service of other ids, in a joined network too', async () => {
      const store = (hostBase: number) =>
        new ErofsRootfs({
          runDir: join(dir, 'run'),
          blobPath: (verity) => join(image.blobDir, `${verity}.erofs`),
          ids: { rangeOf: async () => ({ hostBase, size: 65_536 }), mapper: new PerlIdMapper() },
        });
      const netns = `wherry-iso-${process.pid}-${runtime}`;
      execFileSync('ip', ['netns', 'add', netns]);
      const mounts = [{ volume: 'bus', path: '/data', readOnly: false, gid: 77, sizeBytes: 65_536 }];
      const mountedBy = async (
        hostBase: number,
        uid: number,
        script: string,
        network: 'none' | 'segments',
      ) => {
        const parts = { layers: [image.verity], mounts, uid, gid: uid, network };
        const root = await store(hostBase).mount(serviceSpec('one', parts));
        return sh(script, parts, {
          rootfs: root,
          ids: { hostBase, size: 65_536 },
          volumePath: (volume) => store(hostBase).volumePath(volume, 'one'),
          ...(network === 'segments' && {
            netns: `/run/netns/${netns}`,
            sysfs: await ownSysfs(join(dir, 'run')),
          }),
        });
      };
      try {
        const wrote = await mountedBy(
          ids.hostBase,
          1000,
          'umask 007; echo hello > /data/file; ls -ln /data',
          'none',
        );
        expect(wrote).toMatch(/1000 +77 .* file/);
        const read = await mountedBy(
          ids.hostBase + 65_536,
          2000,
          'cat /data/file; echo more >> /data/file; ls -ln /data; ls /sys/class /sys/fs/cgroup; ls /proc/net/',
          'segments',
        );
        expect(read).toMatch(/^hello\n[^]*1000 +77 .* file[^]*net/);
      } finally {
        execFileSync('ip', ['netns', 'delete', netns]);
        await store(0).destroy();
      }
    });
  });
});
