import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { openCgroups } from '../agent/supervisor/cgroup/detect.ts';
import { requireRoot, SetupError } from '../scripts/setup.mjs';
import type { DemoOptions } from './options.ts';

const PROGRAMS: Record<string, string> = {
  crun: 'crun',
  conmon: 'conmon',
  mmdebstrap: 'mmdebstrap',
  umoci: 'umoci',
  wat2wasm: 'wabt',
  gcc: 'gcc',
  ip: 'iproute2',
  nft: 'nftables',
};

/** Everything that can be known before the first process is started. Throws SetupError that says what to do. */
export async function preflight({ port, dataDir, instance, board }: DemoOptions): Promise<void> {
  requireRoot();
  requirePrograms();
  // A board has a kernel of its own.
  if (board === undefined) {
    requireControllers(instance);
    requireSegments();
  }
  for (const wanted of [port, port + 1, port + 2]) await requireFreePort(wanted);
  claim(dataDir);
}

function requirePrograms(): void {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const missing = Object.entries(PROGRAMS).filter(
    ([program]) => !folders.some((folder) => existsSync(join(folder, program))),
  );
  if (missing.length === 0) return;
  const packages = missing.map(([, name]) => name).join(' ');
  throw new SetupError(
    `Cannot find ${missing.map(([program]) => program).join(', ')}: install with apt-get install ${packages}`,
  );
}

/** Says the same as the agent would, before anything is built. */
function requireControllers(instance: string): void {
  try {
    openCgroups(instance);
  } catch (error) {
    throw new SetupError(error instanceof Error ? error.message : String(error));
  }
}

/** What a segment is made of, tried in a network namespace that goes with the trial. */
const SEGMENT_PARTS = [
  'ip link add b0 type bridge',
  'ip link add v0 type veth peer name v1',
  'nft add table inet t',
  'nft add table bridge t',
];

function requireSegments(): void {
  const { status, stderr } = spawnSync('unshare', ['--net', 'sh', '-ec', SEGMENT_PARTS.join('\n')], {
    encoding: 'utf8',
  });
  if (status === 0) return;
  throw new SetupError(
    `Cannot make network segments: ${stderr.trim().split('\n')[0]}; the kernel must offer network namespaces, bridge, veth and nf_tables (inet and bridge)`,
  );
}

function requireFreePort(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => {
      const what = error.code === 'EADDRINUSE' ? 'the port is in use' : error.message;
      reject(
        new SetupError(
          `Cannot listen on 127.0.0.1:${port}: ${what}; stop what holds it, or choose others: npm start -- --port ${port < 60_000 ? port + 100 : port - 100}`,
        ),
      );
    });
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve()));
  });
}

/** One demo per data folder. */
function claim(dataDir: string): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o755 });
  const file = join(dataDir, 'demo.pid');
  const pid = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  if (pid && pid !== process.pid && isDemo(pid)) {
    throw new SetupError(
      `Cannot start in ${dataDir}: a demo runs there already as process ${pid}; stop it, or give another folder with --data`,
    );
  }
  writeFileSync(file, String(process.pid));
}

function isDemo(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('demo/main.ts');
  } catch {
    return false;
  }
}

export const release = (dataDir: string): void => rmSync(join(dataDir, 'demo.pid'), { force: true });
