// Builds the channel library and its command for both processors into dist/ipc/linux-{x64,arm64}: each is skipped while
// its inputs are unchanged. `node ipc/build.ts [x64|arm64]`.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { main, ROOT, SetupError, say } from '../scripts/setup.mjs';

const run = promisify(execFile);

export type IpcArch = 'x64' | 'arm64';
const ARCHES: IpcArch[] = ['x64', 'arm64'];
const TRIPLES: Record<IpcArch, string> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

const SOURCE = join(ROOT, 'ipc/c');
const NODE_CLIENT = join(ROOT, 'ipc/node');
const PYTHON_CLIENT = join(ROOT, 'ipc/python/wherry_ipc.py');
/** Node-API headers: declarations only, the functions are in every Node since 20. */
const NODE_HEADERS = join(ROOT, 'node_modules/node-api-headers/include');
const WARNINGS = [
  '-std=c11',
  '-D_GNU_SOURCE',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-Wshadow',
  '-Wstrict-prototypes',
];
const LIBRARY = [
  '-O2',
  '-g0',
  '-fPIC',
  '-fvisibility=hidden',
  '-DWIPC_BUILD',
  '-fno-plt',
  `-ffile-prefix-map=${ROOT}=.`,
];

/**
 * Where the binaries of a processor are: libwherry-ipc.so.1 with wherry_ipc.py, libwherry-ipc.a, wherry-ipc,
 * wherry_ipc.h, wherry-ipc.pc; and in node/ the Node package.
 */
export const ipcFolder = (arch: IpcArch): string => join(ROOT, 'dist/ipc', `linux-${arch}`);

/** The C files of the library, without the command. */
export const ipcSources = (): string[] => filesIn(SOURCE, '.c');

function filesIn(folder: string, ending: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => join(folder, name));
}

/** The C compiler for a processor: the machine's own, or Debian's cross compiler. */
export function ipcCompiler(arch: IpcArch): string {
  return process.arch === arch ? 'gcc' : `${TRIPLES[arch]}-gcc`;
}

async function compilerVersion(arch: IpcArch): Promise<string> {
  const compiler = ipcCompiler(arch);
  try {
    return (await run(compiler, ['--version'])).stdout;
  } catch (cause) {
    throw new SetupError(
      `Cannot build the channel library for ${arch}: ${compiler} is not here; install the Debian package ` +
        `${compiler === 'gcc' ? 'gcc and libc6-dev' : `gcc-${TRIPLES[arch].replace('_', '-')} and libc6-dev-${arch === 'x64' ? 'amd64' : arch}-cross`}`,
      { cause },
    );
  }
}

function digestOf(version: string): string {
  const digest = createHash('sha256').update(version);
  const command = join(SOURCE, 'command');
  const inputs = [SOURCE, command, NODE_CLIENT].flatMap((folder) => filesIn(folder, ''));
  inputs.push(PYTHON_CLIENT, join(NODE_HEADERS, '../package.json'));
  for (const file of [...inputs, join(ROOT, 'ipc/build.ts')])
    if (/\.(?:c|h|js|json|pc|py|ts)$/.test(file))
      digest.update(`${file.slice(ROOT.length)}\0`).update(readFileSync(file));
  return digest.digest('hex');
}

/**
 * One object of all: a round trip takes a fifth less than with calls between files. What is not the interface is made
 * local, so that a program that links the archive may have functions of the same names.
 */
async function compileLibrary(compiler: string, binutils: string, into: string): Promise<string> {
  const library = join(into, 'wherry-ipc.o');
  await run(compiler, [...WARNINGS, ...LIBRARY, '-flto', '-c', ...ipcSources()], { cwd: into });
  const objects = filesIn(into, '.o');
  const whole = ['-flto', '-r', '-flinker-output=nolto-rel'];
  await run(compiler, [...WARNINGS, ...LIBRARY, ...whole, '-o', library, ...objects]);
  for (const object of objects) rmSync(object);
  await run(`${binutils}objcopy`, ['--localize-hidden', library]);
  return library;
}

async function compile(arch: IpcArch, into: string): Promise<void> {
  const compiler = ipcCompiler(arch);
  const binutils = compiler.slice(0, -'gcc'.length);
  const library = await compileLibrary(compiler, binutils, into);
  const hardened = ['-Wl,-z,relro,-z,now', '-Wl,--no-undefined', '-Wl,-soname,libwherry-ipc.so.1'];
  await run(compiler, ['-shared', ...hardened, '-o', join(into, 'libwherry-ipc.so.1'), library]);
  await run(`${binutils}ar`, ['rcs', join(into, 'libwherry-ipc.a'), library]);
  const command = filesIn(join(SOURCE, 'command'), '.c');
  await run(compiler, [...WARNINGS, '-O2', '-static', '-o', join(into, 'wherry-ipc'), ...command, library]);
  for (const name of ['libwherry-ipc.so.1', 'wherry-ipc'])
    await run(`${binutils}strip`, ['--strip-unneeded', join(into, name)]);
  rmSync(library);
  symlinkSync('libwherry-ipc.so.1', join(into, 'libwherry-ipc.so'));
  for (const name of ['wherry_ipc.h', 'wherry-ipc.pc']) copyFileSync(join(SOURCE, name), join(into, name));
}

/** One file that any Node loads: the library is inside, and stays loaded when a worker thread ends. */
async function compileAddon(arch: IpcArch, into: string): Promise<void> {
  const compiler = ipcCompiler(arch);
  const folder = join(into, 'node');
  mkdirSync(folder);
  for (const name of readdirSync(NODE_CLIENT))
    if (/\.(?:js|json|d\.ts)$/.test(name)) copyFileSync(join(NODE_CLIENT, name), join(folder, name));
  const addon = join(folder, 'wherry_ipc.node');
  // What of the library is linked in is not offered to the process: --exclude-libs.
  const flags = [...WARNINGS, ...LIBRARY.filter((flag) => flag !== '-DWIPC_BUILD'), '-DNAPI_VERSION=8'];
  await run(compiler, [
    ...flags,
    '-isystem',
    NODE_HEADERS,
    '-shared',
    '-pthread',
    '-o',
    addon,
    ...filesIn(NODE_CLIENT, '.c'),
    join(into, 'libwherry-ipc.a'),
    '-Wl,-z,relro,-z,now,-z,nodelete,--exclude-libs,ALL',
  ]);
  await run(`${compiler.slice(0, -'gcc'.length)}strip`, ['--strip-unneeded', addon]);
}

async function buildFor(arch: IpcArch, onProgress: (line: string) => void): Promise<void> {
  const folder = ipcFolder(arch);
  const stamp = join(folder, '.inputs');
  const digest = digestOf(await compilerVersion(arch));
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  onProgress(`Building the channel library for ${arch}`);
  const fresh = `${folder}.${process.pid}`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  try {
    await compile(arch, fresh);
    await compileAddon(arch, fresh);
    copyFileSync(PYTHON_CLIENT, join(fresh, 'wherry_ipc.py'));
    writeFileSync(join(fresh, '.inputs'), digest);
    rmSync(folder, { recursive: true, force: true });
    renameSync(fresh, folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

const BENCH = join(SOURCE, 'bench');
const BENCH_PARTS = {
  ring: [join(ipcFolder(process.arch as IpcArch), 'libwherry-ipc.a')],
  bare: [],
  uds: [],
  memory: [],
  iceoryx: ['-liceoryx_binding_c'],
};

/** Debian's package puts them below a folder named for the version. */
function iceoryxHeaders(): string[] {
  const root = '/usr/include/iceoryx';
  return existsSync(root) ? readdirSync(root).map((version) => join(root, version)) : [];
}

/**
 * The benchmark programs of this machine's processor (ipc/c/bench/bench.h says how they are run), by transport. Iceoryx
 * only where Debian's libiceoryx-binding-c-dev is installed.
 */
export async function buildIpcBench(
  into: string,
): Promise<Partial<Record<keyof typeof BENCH_PARTS, string>>> {
  await buildIpc(() => {}, [process.arch as IpcArch]);
  mkdirSync(into, { recursive: true });
  const headers = iceoryxHeaders();
  const programs: Partial<Record<keyof typeof BENCH_PARTS, string>> = {};
  for (const [name, libraries] of Object.entries(BENCH_PARTS) as [keyof typeof BENCH_PARTS, string[]][]) {
    if (name === 'iceoryx' && headers.length === 0) continue;
    const program = join(into, `bench-${name}`);
    const sources = [join(BENCH, 'bench.c'), join(BENCH, `${name}.c`)];
    // Static where it can be: it runs in any container.
    const link = name === 'iceoryx' ? headers.flatMap((folder) => ['-isystem', folder]) : ['-static'];
    await run('gcc', [...WARNINGS, '-O2', ...link, ...sources, ...libraries, '-o', program]);
    programs[name] = program;
  }
  return programs;
}

/** dist/ipc/linux-x64 and dist/ipc/linux-arm64, or those asked for. */
export async function buildIpc(
  onProgress: (line: string) => void,
  arches: IpcArch[] = ARCHES,
): Promise<void> {
  for (const arch of arches) await buildFor(arch, onProgress);
}

if (import.meta.main) {
  await main(async () => {
    const asked = process.argv.slice(2);
    const unknown = asked.find((arch) => !ARCHES.includes(arch as IpcArch));
    if (unknown !== undefined)
      throw new SetupError(
        `Cannot build for "${unknown}": there is no such processor; give ${ARCHES.join(' or ')}`,
      );
    await buildIpc(say, asked.length > 0 ? (asked as IpcArch[]) : ARCHES);
    return 0;
  });
}
