// Brings a fresh Debian 12 machine to where Wherry runs: Debian packages and npm packages. Runs on any Node from 20,
// before node_modules exists, so it is plain JavaScript and imports nothing of ours.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
export const NODE = join(ROOT, 'node_modules/.bin/node');

/** Debian packages by what needs them; docs/dependencies.md says why each is here. */
export const PACKAGES = {
  agent: [
    'crun',
    'conmon',
    'mount',
    'util-linux',
    'procps',
    'iproute2',
    'nftables',
    'aardvark-dns',
    'e2fsprogs',
    'perl-base',
    'catatonit',
    'bsdutils',
  ],
  release: ['tar'],
  images: [
    'mmdebstrap',
    'umoci',
    'wabt',
    'ca-certificates',
    'debian-archive-keyring',
    'gcc',
    'libc6-dev',
    'gcc-aarch64-linux-gnu',
    'libc6-dev-arm64-cross',
  ],
  test: [
    'runc',
    'chromium',
    'busybox-static',
    'erofs-utils',
    'zstd',
    'skopeo',
    'fsverity',
    'libcap2-bin',
    'attr',
    'clang',
    'libclang-rt-dev',
    'spin',
    'qemu-user-static',
    'python3',
    'zsh',
    'fish',
    'man-db',
    'groff-base',
    'mandoc',
    'systemd',
    'faketime',
    'openssl',
    'tmux',
  ],
  board: ['qemu-system-arm', 'qemu-utils', 'kmod', 'xz-utils', 'dpkg', 'mtools', 'dosfstools', 'fdisk'],
};

/** A set-up fault that a person can mend; printed without a stack. */
export class SetupError extends Error {}

export function say(line) {
  process.stdout.write(`${line}\n`);
}

export function requireRoot() {
  if (process.platform !== 'linux')
    throw new SetupError(
      `Cannot run here: this is ${process.platform}; Wherry needs Linux (Debian 12 or later)`,
    );
  if (process.getuid?.() !== 0)
    throw new SetupError(
      'Cannot run as a user: mounts, cgroups and containers need root; run it again with sudo',
    );
}

/** Runs a command, its output shown only when it fails. Resolves when it succeeded. */
function run(command, args, env = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const tail = [];
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => tail.push(data) > 200 && tail.shift());
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0
        ? resolve()
        : reject(
            new SetupError(
              `Cannot ${command} ${args.join(' ')}: it ended with ${code}\n${Buffer.concat(tail).toString().trim()}`,
            ),
          ),
    );
  });
}

function missingPackages(names) {
  const { stdout } = spawnSync('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\n', ...names], {
    encoding: 'utf8',
  });
  const installed = new Set(
    (stdout ?? '')
      .split('\n')
      .filter((line) => line.endsWith(' installed'))
      .map((line) => line.split(' ')[0]),
  );
  return names.filter((name) => !installed.has(name));
}

async function installPackages(groups) {
  if (spawnSync('dpkg-query', ['--version']).error) {
    throw new SetupError(
      'Cannot look for Debian packages: dpkg-query is not here; run this on Debian 12 or later, or install the packages of docs/dependencies.md by hand',
    );
  }
  const missing = missingPackages(groups.flatMap((group) => PACKAGES[group]));
  if (missing.length === 0) return;
  say(`Installing Debian packages: ${missing.join(' ')}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['update', '-q'], env);
  await run('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...missing], env);
}

async function installNodeModules() {
  const wanted = createHash('sha256')
    .update(readFileSync(join(ROOT, 'package-lock.json')))
    .digest('hex');
  const stamp = join(ROOT, 'node_modules/.installed');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  say('Installing npm packages');
  // CI=true in the caller must not make npm fail on the engine of the Node that only runs npm.
  await run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  writeFileSync(stamp, wanted);
}

/** Debian packages of the groups, npm packages. Quick when all is there. */
export async function setUp(groups) {
  requireRoot();
  await installPackages(groups);
  await installNodeModules();
}

/** Runs a program on the project's own Node, passes signals on, resolves with its exit code. */
export function runOnNode(args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(NODE, args, { cwd: ROOT, stdio: 'inherit', ...options });
    // Ctrl-C reaches the child by itself as well; a second one says nothing new. This process stays until it has ended.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    child.on('close', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)));
  });
}

/** Top of a script: prints set-up faults as one line, exits with the result. */
export async function main(work) {
  try {
    process.exitCode = await work();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
