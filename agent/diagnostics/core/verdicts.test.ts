import { expect, test } from 'vitest';
import { judgeAgent } from './agent-state.ts';
import { judgeMemory, judgePower, judgeTemperature } from './board.ts';
import { type CertificateFacts, judgeCertificate } from './certificate.ts';
import { isPlausible, judgeClock } from './clock.ts';
import { type Finding, fail, ok, skipped, together, verdictOf, warn } from './finding.ts';
import { judgeCgroups, judgeKernel, type KernelFacts } from './kernel.ts';
import { damageLines, ioErrors } from './kernel-log.ts';
import { type ImagesFacts, judgeImages, judgeLedger, judgePrograms, versionIn } from './software.ts';
import { judgeFilesystems, judgeSpace, judgeStorage, type StorageFacts } from './storage.ts';

const NOW = Date.UTC(2026, 10, 21, 10);
const BUILT = Date.UTC(2026, 10, 1);
const DAY = 86_400_000;
const MiB = 1024 ** 2;
const verdict = ({ verdict }: Finding): string => verdict;
/** Whatever is wrong says what to do, and whatever is not has nothing to do. */
const isHelpful = ({ verdict, advice }: Finding): boolean =>
  (verdict === 'warn' || verdict === 'fail') === (advice !== undefined);

test('findings together: the worst first, each advice once', () => {
  const all = together([ok('a'), fail('b', 'do x'), warn('c', 'do x'), skipped('d')]);
  expect(all).toEqual({ verdict: 'fail', found: 'b; c; a; d', advice: 'do x' });
  expect(verdictOf([skipped('a')])).toBe('ok');
  expect(verdictOf([ok('a'), warn('b', 'x')])).toBe('warn');
});

const clock = (now: number, change: Partial<Parameters<typeof judgeClock>[0]> = {}): Finding =>
  judgeClock({ now, builtAt: BUILT, trustedTime: 0, state: 'synchronised', ...change });

test('clock', () => {
  expect(verdict(clock(NOW))).toBe('ok');
  expect(clock(0).found).toContain('1970-01-01T00:00:00Z, before this software was built');
  expect(verdict(clock(BUILT))).toBe('ok');
  expect(verdict(clock(BUILT - 1))).toBe('fail');
  expect(clock(NOW, { trustedTime: NOW + DAY }).found).toContain('was seen signed already');
  expect(verdict(clock(NOW, { trustedTime: NOW + 59_000 }))).toBe('ok');
  expect(verdict(clock(NOW + 21 * 365 * DAY))).toBe('fail');
  expect(verdict(clock(NOW, { state: 'unsynchronised' }))).toBe('warn');
  expect(clock(NOW, { state: 'unknown' })).toMatchObject({
    verdict: 'ok',
    found: expect.stringContaining('not known'),
  });
  expect(isPlausible({ now: 0, builtAt: BUILT, trustedTime: 0 })).toBe(false);
});

const own: CertificateFacts = {
  device: 'cam-1',
  commonName: 'cam-1',
  validFrom: NOW - 100 * DAY,
  validTo: NOW + 265 * DAY,
  isOfKey: true,
  isOfCa: true,
};
const certificate = (change: Partial<CertificateFacts>, isClockPlausible = true): Finding =>
  judgeCertificate({ ...own, ...change }, { now: NOW, isClockPlausible });

test('certificate', () => {
  expect(certificate({}).found).toBe('The certificate of cam-1 is 100 days old and ends in 265 days');
  expect(verdict(certificate({ validTo: NOW + 30 * DAY }))).toBe('ok');
  expect(verdict(certificate({ validTo: NOW + 30 * DAY - 1 }))).toBe('warn');
  expect(certificate({ validTo: NOW }).found).toContain('ended 2026-11-21');
  expect(verdict(certificate({ validFrom: NOW + 1 }))).toBe('fail');
  expect(certificate({ isOfKey: false }).found).toContain("not for this device's key");
  expect(certificate({ isOfCa: false }).found).toContain("not signed by the server's CA");
  expect(certificate({ commonName: 'cam-2' }).found).toContain('names cam-2, but the device is cam-1');
  expect(certificate({ validTo: NOW - DAY }, false)).toMatchObject({
    verdict: 'skipped',
    found: expect.stringContaining('see clock'),
  });
  expect(verdict(judgeCertificate(undefined, { now: NOW, isClockPlausible: true }))).toBe('skipped');
  expect(judgeCertificate('Cannot read it', { now: NOW, isClockPlausible: true }).found).toBe(
    'Cannot read it',
  );
});

const space = (freeBytes: number, totalBytes = 1000 * MiB, freeInodes = 100, totalInodes = 100): string =>
  verdict(judgeSpace([{ path: '/x', freeBytes, totalBytes, freeInodes, totalInodes }]));

test('space and inodes: both share and amount must be short', () => {
  expect([
    space(500 * MiB),
    space(65 * MiB),
    space(63 * MiB),
    space(16 * MiB),
    space(15 * MiB),
    space(0),
  ]).toEqual(['ok', 'ok', 'warn', 'warn', 'fail', 'fail']);
  expect(space(3 * MiB, 8 * MiB)).toBe('ok');
  expect([
    space(500 * MiB, 1000 * MiB, 5),
    space(500 * MiB, 1000 * MiB, 4),
    space(500 * MiB, 1000 * MiB, 0),
  ]).toEqual(['ok', 'warn', 'fail']);
  expect(space(500 * MiB, 1000 * MiB, 0, 0)).toBe('ok');
});

const sound: StorageFacts = {
  mount: { point: '/', type: 'ext4', source: '/dev/mmcblk0p2', isReadOnly: false },
  errors: [],
};

test('storage', () => {
  expect(judgeStorage(sound).found).toBe("/ is writable, no error in the kernel's log");
  const remounted = judgeStorage({
    ...sound,
    mount: { point: '/', type: 'ext4', source: '/dev/sda1', isReadOnly: true },
  });
  expect(remounted).toMatchObject({ verdict: 'fail', found: expect.stringContaining('mounted read-only') });
  expect(judgeStorage({ ...sound, errors: ['a', 'mmc0: timeout'] }).found).toContain(
    '2 input and output errors; the last: mmc0: timeout',
  );
  const life = (change: Partial<StorageFacts>): string => verdict(judgeStorage({ ...sound, ...change }));
  expect([79, 80, 100].map((lifeUsedPercent) => life({ lifeUsedPercent }))).toEqual(['ok', 'warn', 'fail']);
  expect([1, 2, 3].map((reserve) => life({ reserve }))).toEqual(['ok', 'warn', 'fail']);
  expect([90, 89].map((daysLeft) => life({ daysLeft }))).toEqual(['ok', 'warn']);
  expect(judgeStorage({ ...sound, errors: undefined }).found).toContain('not open to you');
  expect(verdict(judgeStorage({ mount: undefined, errors: undefined }))).toBe('skipped');
});

test('what the kernel says of storage', () => {
  const lines = [
    'blk_update_request: I/O error, dev mmcblk0, sector 123 op 0x0:(READ)',
    'mmc0: cache flush error -110',
    'I/O error, dev loop3, sector 0',
    'EXT4-fs error (device mmcblk0p2): ext4_find_entry:1455: inode #2: comm node',
    'EXT4-fs (mmcblk0p2): Remounting filesystem read-only',
    'erofs (device loop1): z_erofs_lz4_decompress failed, corrupted',
    'erofs (device loop1): mounted with root inode @ nid 36.',
    'EXT4-fs (loop1): mounted filesystem r/w',
  ];
  expect(ioErrors(lines)).toEqual(lines.slice(0, 2));
  expect(damageLines(lines)).toEqual(lines.slice(3, 6));
});

test('file systems', () => {
  const ext4 = [{ device: 'mmcblk0p2', errors: 0, lastFunction: '', lastAt: 0 }];
  const none = { ext4, erofsMounts: 3, damage: [] };
  expect(judgeFilesystems(none).found).toBe('1 ext4 without errors, 3 image mounts');
  const counted = [{ device: 'mmcblk0p2', errors: 4, lastFunction: 'ext4_find_entry', lastAt: 1 }];
  expect(judgeFilesystems({ ...none, ext4: counted })).toMatchObject({
    verdict: 'fail',
    found: 'ext4 on mmcblk0p2 has counted 4 errors, the last in ext4_find_entry',
    advice: expect.stringContaining('e2fsck -f /dev/mmcblk0p2'),
  });
  expect(judgeFilesystems({ ...none, damage: ['erofs: corrupted'] }).found).toContain('an image damaged');
  expect(judgeFilesystems({ ...none, damage: ['FAT-fs error'] }).found).toContain('a file system damaged');
  expect(judgeFilesystems({ ...none, damage: undefined }).found).toContain('not open to you');
});

const kernel: KernelFacts = {
  release: '6.12',
  namespaces: ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup', 'user'],
  maxUserNamespaces: 15_000,
  fileSystems: ['ext4', 'overlay', 'erofs', 'tmpfs'],
  hasSeccomp: true,
  hasPressure: true,
  hasNftables: true,
};

test('kernel', () => {
  expect(verdict(judgeKernel(kernel))).toBe('ok');
  expect(judgeKernel({ ...kernel, namespaces: ['mnt'] }).found).toContain(
    'no pid, net, ipc, uts, cgroup, user namespaces',
  );
  expect(judgeKernel({ ...kernel, maxUserNamespaces: 0 }).advice).toContain('user.max_user_namespaces');
  expect(judgeKernel({ ...kernel, fileSystems: ['tmpfs', 'overlay'] }).advice).toContain('CONFIG_EROFS_FS');
  expect(verdict(judgeKernel({ ...kernel, hasSeccomp: false }))).toBe('fail');
  expect(verdict(judgeKernel({ ...kernel, hasNftables: false }))).toBe('fail');
  expect(judgeKernel({ ...kernel, hasNftables: undefined })).toMatchObject({
    verdict: 'ok',
    found: expect.stringContaining('without root'),
  });
  expect(judgeKernel({ ...kernel, hasPressure: false })).toMatchObject({
    verdict: 'warn',
    advice: expect.stringContaining('psi=1'),
  });
});

test('the memory controller of a Raspberry Pi', () => {
  const off = judgeCgroups({
    version: undefined,
    missing: ['memory'],
    commandLine: 'a cgroup_disable=memory b',
  });
  expect(off.verdict).toBe('fail');
  expect(off.found).toContain('says cgroup_disable=memory');
  expect(off.advice).toContain('cgroup_enable=memory');
  expect(off.advice).toContain('/boot/firmware/cmdline.txt');
  const pids = judgeCgroups({ version: undefined, missing: ['pids'], commandLine: '' });
  expect(pids.advice).not.toContain('cmdline.txt');
  expect([1, 2].map((version) => verdict(judgeCgroups({ version: version as 1 | 2 })))).toEqual(['ok', 'ok']);
});

test('memory, heat and voltage', () => {
  const memory = (availableBytes: number, pressurePercent?: number): string =>
    verdict(judgeMemory({ totalBytes: 1000 * MiB, availableBytes, pressurePercent, kills: 0 }));
  expect([memory(500 * MiB), memory(79 * MiB), memory(19 * MiB), memory(500 * MiB, 10)]).toEqual([
    'ok',
    'warn',
    'fail',
    'warn',
  ]);
  const kills = judgeMemory({
    totalBytes: MiB * 1000,
    availableBytes: 500 * MiB,
    pressurePercent: 0,
    kills: 2,
  });
  expect(kills.found).toContain('has killed 2 processes');
  const heat = (celsius: number, criticalCelsius?: number): string =>
    verdict(
      judgeTemperature([
        { name: 'cpu', celsius: 20 },
        { name: 'gpu', celsius, criticalCelsius },
      ]),
    );
  expect([heat(79.9), heat(80), heat(90, 110), heat(105, 110)]).toEqual(['ok', 'warn', 'warn', 'fail']);
  expect(verdict(judgeTemperature([]))).toBe('skipped');
  expect(verdict(judgePower(undefined))).toBe('skipped');
  expect(verdict(judgePower({ now: [], sinceBoot: [] }))).toBe('ok');
  expect(verdict(judgePower({ now: ['under-voltage'], sinceBoot: ['under-voltage'] }))).toBe('fail');
  expect(verdict(judgePower({ now: [], sinceBoot: ['under-voltage'] }))).toBe('warn');
  expect(judgePower({ now: ['frequency-capped'], sinceBoot: [] }).found).toContain('frequency-capped');
});

const program = (name: string, version: string | undefined, need = 'always') => ({
  name,
  package: name,
  need,
  version,
});

test('programs', () => {
  expect(judgePrograms([program('crun', '1.8'), program('nft', '1.0')]).found).toBe('crun 1.8, nft 1.0');
  expect(judgePrograms([program('conmon', undefined)])).toEqual(
    fail('conmon is not installed: no service can start', 'apt-get install conmon'),
  );
  expect(verdict(judgePrograms([program('nft', undefined, 'ports do not work')]))).toBe('warn');
  expect([
    versionIn('crun version 1.8.1'),
    versionIn('nftables v1.0.6 (Lester Gooch #5)'),
    versionIn('odd'),
  ]).toEqual(['1.8.1', '1.0.6', 'odd']);
});

const ledgerWith = (change: Partial<Parameters<typeof judgeLedger>[0]>): Finding =>
  judgeLedger({ path: '/l', verdict: 'ok', wholeCopies: 1, setAside: [], ...change });

test('ledger', () => {
  expect(ledgerWith({}).found).toBe('/l is sound');
  expect(ledgerWith({ verdict: 'malformed' }).found).toContain(
    '/l is damaged: malformed; the copies beside it are whole',
  );
  expect(ledgerWith({ contentFault: 'the manifest of 1 is another', wholeCopies: 0 }).found).toContain(
    'no copy beside it is whole',
  );
  expect(verdict(ledgerWith({ verdict: undefined, wholeCopies: 0 }))).toBe('warn');
  expect(verdict(ledgerWith({ verdict: undefined }))).toBe('fail');
  expect(ledgerWith({ setAside: ['ledger.db.corrupt-1'] })).toMatchObject({
    verdict: 'warn',
    found: expect.stringContaining('corrupt-1'),
  });
});

const imagesWith = (change: Partial<ImagesFacts>): Finding =>
  judgeImages({
    checked: 2,
    checkedBytes: 3 * MiB,
    wanted: 2,
    damaged: [],
    missing: [],
    isCut: false,
    ...change,
  });

test('images', () => {
  expect(imagesWith({}).found).toBe('2 of 2 blobs read (3 MiB), all as signed');
  expect(imagesWith({ damaged: ['a.erofs'] }).found).toMatch(
    /^Damaged: a.erofs: .*; 2 of 2 blobs read \(3 MiB\), the others as signed$/,
  );
  expect(verdict(imagesWith({ missing: ['b.erofs'] }))).toBe('fail');
  expect(imagesWith({ isCut: true, checked: 1 }).found).toContain(
    '1 of 2 blobs read (3 MiB) in the time given',
  );
});

test('agent', () => {
  const up = { isUp: true as const, version: '1', link: 'connected' as const, faults: [], down: [] };
  expect(judgeAgent(up).found).toBe('agent 1, link connected');
  expect(judgeAgent({ ...up, link: 'offline', detail: 'refused' }).found).toContain('link offline (refused)');
  expect(verdict(judgeAgent({ ...up, faults: ['disk full'] }))).toBe('warn');
  expect(judgeAgent({ ...up, down: ['web'] }).found).toContain('not up: web');
  const down = judgeAgent({ isUp: false, why: 'nobody listens', seenAt: NOW, unit: 'failed (failed)' });
  expect(down.found).toBe(
    'The agent does not answer: nobody listens; its last sign of life is of 2026-11-21T10:00:00Z; the service manager says failed (failed)',
  );
});

test('what is wrong says what to do', () => {
  const all = [
    clock(0),
    certificate({ validTo: 0 }),
    judgeKernel({ ...kernel, hasSeccomp: false }),
    judgePower({ now: ['under-voltage'], sinceBoot: [] }),
    judgeStorage({ ...sound, reserve: 3 }),
    judgeStorage(sound),
    judgeMemory({ totalBytes: 100, availableBytes: 1, pressurePercent: undefined, kills: undefined }),
  ];
  expect(all.filter((finding) => !isHelpful(finding))).toEqual([]);
});
