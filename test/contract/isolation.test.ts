import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasSwapAccounting, openCgroups } from '../../agent/supervisor/cgroup/detect.ts';
import { ErofsRootfs } from '../../agent/supervisor/images/erofs-rootfs.ts';
import { type IdMapper, PerlIdMapper } from '../../agent/supervisor/images/id-mapper.ts';
import { openIsolation } from '../../agent/supervisor/runtime/isolation.ts';
import { ownSysfs } from '../../agent/supervisor/runtime/own-sysfs.ts';
import type { IdRange, Placement } from '../../agent/supervisor/runtime/placement.ts';
import { UserNamespaces } from '../../agent/supervisor/runtime/user-namespace.ts';
import { SecretStore } from '../../agent/supervisor/secrets/secret-store.ts';
import type { ServiceSpec } from '../../agent/supervisor/service-spec.ts';
import { frames } from '../support/channel-bench.ts';
import { runContainer } from '../support/run-container.ts';
import { serviceSpec } from '../support/service-specs.ts';
import { type TinyImage, tinyImage } from '../support/tiny-image.ts';

type Parts = Parameters<typeof serviceSpec>[1];

const EPERM = '1';
const EBADF = '9';
const ENOSYS = '38';
const EAFNOSUPPORT = '97';

/** As on a kernel that has no id-mapped mounts. */
const unmapping: IdMapper = { bind: () => Promise.reject(new Error('mount_setattr: Invalid argument')) };
const TMPFS = 0x01021994;
/** As on Linux 5.19 to 6.2, Debian 12's among them: all but what is in memory can be mapped. */
const halfMapping: IdMapper = {
  bind: (range, binds) =>
    binds.some(({ source }) => statfsSync(source).type === TMPFS)
      ? unmapping.bind(range, binds)
      : new PerlIdMapper().bind(range, binds),
};
const WAYS = [
  ['mapped', new PerlIdMapper()],
  ['half-mapped', halfMapping],
  ['shifted', unmapping],
] as const;
/** Groups of volumes begin here. */
const GROUP = 64_000;

const node = (path: string, target: string) => ({ kind: 'node', path, target, access: 'rw' }) as const;

const gpu = (name: string) => ({ devices: [{ kind: 'cdi', name: `v.com/gpu=${name}` } as const] });

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
  const blobPath = (verity: string): string => join(image.blobDir, `${verity}.erofs`);

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

    test('who is on a channel takes no page out of a file, and anybody else may', async () => {
      const channels = [frames({ publishers: ['one'], subscribers: ['one'] })];
      const page = 0x400000;
      // fallocate of no file: with FALLOC_FL_PUNCH_HOLE, and without. madvise: MADV_REMOVE, MADV_NORMAL.
      const list = ['285 -1 3 0 4096', '285 -1 0 0 4096', `28 ${page} 4096 9`, `28 ${page} 4096 0`];
      expect(await calls(list, { channels })).toEqual([EPERM, EBADF, EPERM, 'ok']);
      const [punch, plain, remove] = await calls(list);
      expect([punch, plain]).toEqual([EBADF, EBADF]);
      expect(remove).not.toBe(EPERM);
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

  describe.each(WAYS)('a user namespace with %s ids', (way, mapper) => {
    const store = (range: IdRange) =>
      new ErofsRootfs({
        runDir: join(dir, way),
        blobPath,
        ids: { rangeOf: async () => range, mapper },
      });
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
      const netns = `wherry-iso-${process.pid}-${runtime}`;
      execFileSync('ip', ['netns', 'add', netns]);
      const mounts = [{ volume: 'bus', path: '/data', readOnly: false, gid: GROUP, sizeBytes: 65_536 }];
      const kept = way === 'mapped' ? {} : { keptGids: [GROUP] };
      const mountedBy = async (
        hostBase: number,
        uid: number,
        script: string,
        network: 'none' | 'segments',
      ) => {
        const parts = { layers: [image.verity], mounts, uid, gid: uid, network };
        const range = { hostBase, size: 65_536, ...kept };
        const root = await store(range).mount(serviceSpec('one', parts));
        return sh(script, parts, {
          rootfs: root,
          ids: range,
          volumePath: (volume) => store(range).volumePath(volume, 'one'),
          ...(network === 'segments' && {
            netns: `/run/netns/${netns}`,
            sysfs: await ownSysfs(join(dir, way)),
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
        expect(wrote).toMatch(/1000 +64000 .* file/);
        const read = await mountedBy(
          ids.hostBase + 65_536,
          2000,
          'cat /data/file; echo more >> /data/file; ls -ln /data; ls /sys/class /sys/fs/cgroup; ls /proc/net/',
          'segments',
        );
        // Where volumes in memory are not mapped, the other's user is nobody here.
        const writer = way === 'mapped' ? '1000' : '65534';
        expect(read).toMatch(new RegExp(`^hello\n[^]*${writer} +64000 .* file[^]*net`));
      } finally {
        execFileSync('ip', ['netns', 'delete', netns]);
        await store(ids).destroy();
      }
    });
  });

  test('sizes of /tmp and /dev/shm and the number of open files are held', async () => {
    const disk = { tmpBytes: 65_536, shmBytes: 32_768 };
    const resources = { memoryMaxBytes: 16 << 20, cpuMax: 1, pidsMax: 16, openFiles: 64, disk };
    const script = 'ulimit -n; ulimit -Hn; cat /proc/mounts';
    const said = await sh(script, { resources });
    expect(said).toMatch(/^64\n64\n/);
    expect(said).toMatch(/ \/tmp tmpfs .*size=64k/);
    expect(said).toMatch(/ \/dev\/shm tmpfs .*size=32k/);
  });

  test('rights are gained at exec only where the manifest says so', async () => {
    const look =
      "sh -c 'while read a b; do case $a in NoNewPrivs:) echo $b;; esac; done < /proc/self/status'";
    expect(await sh(look)).toBe('1');
    expect(await sh(look, security({ newPrivileges: true }))).toBe('0');
  });

  describe.each(WAYS)('what the manifest lets in, with %s ids:', (way, mapper) => {
    const stateDir = join(dir, `state-${way}`);
    const runDir = join(dir, `run-${way}`);
    const cdi = join(dir, 'cdi');
    const secrets = new SecretStore(stateDir);

    const open = () =>
      new UserNamespaces({ stateDir, runDir, mapper, volumePath: (name) => join(dir, name) });

    const runIsolated = async (parts: Parts, script: string): Promise<string> => {
      const { rootfs: store, placementOf } = openIsolation({
        stateDir,
        runDir,
        blobPath,
        mapper,
        cdiFolders: [cdi],
      });
      const args = ['/bin/sh', '-c', script];
      const spec = serviceSpec('one', { layers: [image.verity], args, ...parts });
      try {
        const root = await store.mount(spec);
        const placed = await placementOf(spec);
        expect(placed.ids?.hostBase).toBeGreaterThan(0);
        const { output } = await runContainer(runtime, dir, spec, place({ rootfs: root, ...placed }));
        return output.trim();
      } finally {
        await store.destroy();
      }
    };
    test('a device that is named can be used under its name, another not', async () => {
      const script =
        'ls -ln /dev/thing; echo x > /dev/thing && echo written; dd if=/dev/loop-control count=0 2>&1';
      const said = await runIsolated({ devices: [node('/dev/loop-control', '/dev/thing')] }, script);
      expect(said).toMatch(/1000 +1000 .*10, 237/);
      expect(said).toMatch(/loop-control': No such file/);
    });

    test('a device that is not there is waited for', async () => {
      const started = runIsolated({ devices: [node('/dev/no-such-device', '/dev/x')] }, 'true');
      await expect(started).rejects.toMatchObject({ code: 'wait.device' });
    });

    test('a CDI device brings its environment, nodes, mounts and hooks', async () => {
      mkdirSync(cdi, { recursive: true });
      writeFileSync(join(dir, 'library'), 'a library');
      const containerEdits = {
        env: ['GPU=yes'],
        deviceNodes: [{ path: '/dev/gpu', hostPath: '/dev/full' }],
        mounts: [
          { hostPath: join(dir, 'library'), containerPath: '/usr/lib/gpu.so', options: ['ro', 'bind'] },
        ],
      };
      const wrote = join(dir, `hook-${way}`);
      const ready = ['sh', '-c', `id -u > ${wrote}; echo $KIND >> ${wrote}`];
      const hook = { path: '/bin/sh', args: ready, env: ['KIND=gpu', 'PATH=/bin:/usr/bin'] };
      const devices = [
        { name: '0', containerEdits },
        { name: 'hooked', containerEdits: { hooks: [{ hookName: 'createRuntime', ...hook }] } },
        { name: 'odd', containerEdits: { hooks: [{ hookName: 'now', ...hook }] } },
        { name: 'more', containerEdits: { intelRdt: { closID: 'x' } } },
      ];
      writeFileSync(join(cdi, 'v.json'), JSON.stringify({ cdiVersion: '0.6.0', kind: 'v.com/gpu', devices }));
      const script = 'echo $GPU; cat /usr/lib/gpu.so; echo; ls -ln /dev/gpu';
      const said = await runIsolated(gpu('0'), script);
      expect(said).toMatch(/^yes\na library\n.*1000 +1000 +1, +7/);
      expect(await runIsolated(gpu('hooked'), 'echo up')).toBe('up');
      expect(readFileSync(wrote, 'utf8')).toBe('0\ngpu\n');
      const { loosenings } = openIsolation({ stateDir, runDir, blobPath, cdiFolders: [cdi] });
      expect(loosenings(serviceSpec('one', gpu('hooked')))).toEqual([
        'has /bin/sh run as root at its createRuntime, for v.com/gpu=hooked',
      ]);
      for (const name of ['odd', 'more'])
        await expect(runIsolated(gpu(name), 'true')).rejects.toMatchObject({ code: 'fail.isolation' });
      await expect(runIsolated(gpu('1'), 'true')).rejects.toMatchObject({ code: 'wait.device' });
      chmodSync(join(cdi, 'v.json'), 0o666);
      await expect(runIsolated(gpu('hooked'), 'true')).rejects.toMatchObject({ code: 'fail.isolation' });
      chmodSync(join(cdi, 'v.json'), 0o644);
    });

    test('a secret is a file for its user alone, and one that is missing is waited for', async () => {
      const wanted = { secrets: [{ name: 'token', path: '/run/secrets/token' }] };
      await expect(runIsolated(wanted, 'true')).rejects.toMatchObject({ code: 'wait.secret' });
      await secrets.put('token', Buffer.from('hunter2'));
      const script = 'cat /run/secrets/token; echo; ls -ln /run/secrets; echo x > /run/secrets/token';
      expect(await runIsolated(wanted, script)).toMatch(
        /^hunter2\n[^]*-r-------- +1 1000 +1000 [^]*Read-only file system/,
      );
    });

    test('a service finds its ids again, and no other gets them', async () => {
      const one = await open().rangeOf(serviceSpec('one'));
      const two = await open().rangeOf(serviceSpec('two'));
      expect(await open().rangeOf(serviceSpec('one'))).toEqual(one);
      expect(two?.hostBase).not.toBe(one?.hostBase);
      expect(await open().rangeOf(serviceSpec('one', security({ userNamespace: 'host' })))).toBeUndefined();
      const tooHigh = open().rangeOf(serviceSpec('one', { uid: 70_000 }));
      await expect(tooHigh).rejects.toMatchObject({ code: 'fail.isolation' });
    });

    test('a right that a user namespace would make void brings the host ids, by name', async () => {
      const spec = serviceSpec('one', {
        network: 'host',
        ...security({ capabilities: ['CAP_NET_BIND_SERVICE'] }),
      });
      expect(await open().rangeOf(spec)).toBeUndefined();
      expect(open().degraded(spec)).toMatchObject([{ what: 'userNamespace' }]);
    });

    test('the network of the host can be shared without its ids or its cgroups', async () => {
      const said = await runIsolated(
        { network: 'host' },
        'cat /proc/self/uid_map; ls /sys/fs/cgroup; ls /sys/class/net',
      );
      expect(said).toMatch(/^0 +2\d{9} +65536\n(?:[^/\n]+\n)*lo(?:\n[^/\n]+)*$/);
    });

    test('what it writes into its root and volumes is its own, and its files are those of the image', async () => {
      const mounts = [{ volume: 'bus', path: '/srv', readOnly: false, gid: GROUP, sizeBytes: 65_536 }];
      const layers = [image.verity, image.extraVerity];
      const script =
        'ls -ln /bin/busybox /extra/link; echo more >> /extra/file && cat /extra/file; touch /own && ls -ln /own; echo x > /srv/x && ls -ln /srv';
      const writable = { layers, mounts, uid: 0, gid: 0, ...security({ readOnlyRoot: false }) };
      const said = await runIsolated(writable, script);
      expect(said).toMatch(
        / 0 +0 .*busybox\n.* 0 +0 .*nowhere\n[^]*more\n.* 0 +0 .*own\n.*\n.* 0 +64000 .*x$/,
      );
    });

    test('a machine that cannot do it says so by name', async () => {
      const closed = join(dir, `closed-${way}`, 'run');
      mkdirSync(closed, { recursive: true });
      chmodSync(dirname(closed), 0o700);
      const ids = new UserNamespaces({ stateDir, runDir: closed, mapper, volumePath: (name) => name });
      expect(await ids.rangeOf(serviceSpec('one'))).toBeUndefined();
      expect(ids.degraded(serviceSpec('one'))).toMatchObject([{ what: 'userNamespace' }]);
    });

    test('a volume on disk that cannot be mapped keeps its ids, and its service says so by name', async () => {
      const kept = { volume: 'kept', path: '/srv', readOnly: false, gid: GROUP, sizeBytes: 1 << 20 };
      const mounts = [{ ...kept, backing: 'disk' as const }];
      const isolation = openIsolation({ stateDir, runDir, blobPath, mapper });
      const spec = serviceSpec('one', { layers: [image.verity], mounts });
      try {
        await isolation.rootfs.mount(spec);
        const range = await isolation.rangeOf(spec);
        expect(range === undefined).toBe(way === 'shifted');
        const names = isolation.degraded(spec).map(({ what }) => what);
        expect(names).toEqual(way === 'shifted' ? ['userNamespace'] : []);
      } finally {
        await isolation.rootfs.destroy();
      }
    });

    test('what killed agents mounted to try the kernel is taken down', async () => {
      const tried = ['idmap-tmpfs', 'idmap-tmpfs', 'idmap-probe'].map((name) => join(runDir, name));
      for (const point of tried) {
        mkdirSync(point, { recursive: true });
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'wherry-probe', point]);
      }
      await open().rangeOf(serviceSpec('one'));
      const mounts = readFileSync('/proc/self/mounts', 'utf8');
      expect(tried.filter((point) => mounts.includes(` ${point} `))).toEqual([]);
    });

    test('a container is in no group of the machine', async () => {
      const mounts = [{ volume: 'bus', path: '/srv', readOnly: false, gid: 6, sizeBytes: 4096 }];
      const spec = serviceSpec('one', { mounts });
      const found = await open()
        .rangeOf(spec)
        .catch((error: { code: string }) => error.code);
      expect(found).toEqual(way === 'mapped' ? await open().rangeOf(serviceSpec('one')) : 'fail.isolation');
    });
  });
});
