import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { NODE, ROOT } from '../../scripts/setup.mjs';

const dir = mkdtempSync(join(tmpdir(), 'wherry-preflight-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const DEMO = ['demo/main.ts', '--port', '17700', '--data', join(dir, 'data')];
const run = (command: string, args: string[], env: Record<string, string> = {}) =>
  spawnSync(command, args, { cwd: ROOT, encoding: 'utf8', timeout: 60_000, env: { ...process.env, ...env } });

test('a user who is not root is told to use sudo', () => {
  const asUser =
    "const { requireRoot } = await import('./scripts/setup.mjs'); process.setuid(65534); try { requireRoot() } catch (error) { console.log(error.message) }";
  expect(run(NODE, ['--input-type=module', '-e', asUser]).stdout).toBe(
    'Cannot run as a user: mounts, cgroups and containers need root; run it again with sudo\n',
  );
});

test('a missing program is named with the package that holds it', () => {
  const bin = join(dir, 'bin');
  mkdirSync(bin);
  for (const program of ['crun', 'conmon', 'umoci', 'wat2wasm', 'gcc', 'ip', 'nft'])
    symlinkSync('/bin/true', join(bin, program));
  const { status, stderr } = run(NODE, DEMO, { PATH: bin });
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr: 'Cannot find mmdebstrap: install with apt-get install mmdebstrap\n',
  });
});

test('a kernel without cgroup controllers is named with what to do', () => {
  const hidden = `umount --recursive /sys/fs/cgroup && exec ${NODE} ${DEMO.join(' ')}`;
  const { status, stderr } = run('unshare', ['--mount', 'sh', '-c', hidden]);
  expect(status).toBe(1);
  expect(stderr).toContain(
    'Cannot hold services to budgets: the kernel offers no cgroup controller for memory, cpu, pids',
  );
  expect(stderr).toContain('cgroup_enable=memory');
});

test('a kernel without what segments are made of is named with what to do', () => {
  const bin = join(dir, 'no-nftables');
  mkdirSync(bin);
  writeFileSync(join(bin, 'nft'), '#!/bin/sh\necho "netlink: Operation not supported" >&2; exit 1\n', {
    mode: 0o755,
  });
  const { status, stderr } = run(NODE, DEMO, { PATH: `${bin}:${process.env['PATH']}` });
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr:
      'Cannot make network segments: netlink: Operation not supported; the kernel must offer network namespaces, bridge, veth and nf_tables (inet and bridge)\n',
  });
});

test.each([
  [['--port', 'eighty'], 'Cannot use --port eighty: it is not a port; give a whole number from 1 to 65533'],
  [['--prot', '80'], "Unknown option '--prot'"],
])('bad arguments %j end with 2 and say what is wrong', (args, message) => {
  const { status, stderr } = run(NODE, ['demo/main.ts', ...args]);
  expect(status).toBe(2);
  expect(stderr).toContain(message);
});
