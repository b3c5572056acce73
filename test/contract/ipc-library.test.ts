// The C library's own cases under AddressSanitizer and UBSan, for both processors, and what the built files promise.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildIpc, type IpcArch, ipcCompiler, ipcFolder } from '../../ipc/build.ts';
import { makeChannel } from '../support/ipc-channel.ts';
import { IpcBench, outcome } from '../support/ipc-programs.ts';

const bench = new IpcBench();
afterAll(() => bench.remove());
beforeAll(() => buildIpc(() => {}), 120_000);

const CASES = ['cases', 'fixture.c'];
const HOST = process.arch as IpcArch;
const qemuFor = (arch: IpcArch) => (arch === 'arm64' ? 'qemu-aarch64-static' : 'qemu-x86_64-static');
const OTHER: IpcArch = HOST === 'x64' ? 'arm64' : 'x64';

test('passes its cases under AddressSanitizer and UBSan', { timeout: 120_000 }, async () => {
  const flags = ['-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
  const program = await bench.compile({ name: 'cases-asan', sources: CASES, flags });

  const ended = await outcome([program, bench.channels()]);

  expect(ended.stderr).not.toMatch(/FAIL|ERROR|runtime error/);
  expect(ended).toMatchObject({ code: 0, stdout: expect.stringMatching(/\b3\d cases passed/) });
});

test('the sanitizers see what they are there for', { timeout: 60_000 }, async () => {
  // A byte too many, once a message fills its slot.
  const library = bench.spoilt(
    'reader.c',
    'copy_out(buffer, slot->payload, length)',
    'copy_out(buffer, slot->payload, length + 1)',
  );
  const flags = ['-O1', '-fsanitize=address'];
  const program = await bench.compile({ name: 'cases-spoilt', sources: CASES, library, flags });

  const ended = await outcome([program, bench.channels(), 'takes messages in order']);

  expect(ended.code).not.toBe(0);
  expect(ended.stderr).toContain('AddressSanitizer: heap-buffer-overflow');
});

describe('built for the other processor', () => {
  test('passes the same cases under qemu', { timeout: 180_000 }, async () => {
    const program = await bench.compile({
      name: `cases-${OTHER}`,
      sources: CASES,
      library: [join(ipcFolder(OTHER), 'libwherry-ipc.a')],
      flags: ['-O1', '-static'],
      compiler: ipcCompiler(OTHER),
    });

    const ended = await outcome([qemuFor(OTHER), program, bench.channels()]);

    expect(ended.stderr).not.toContain('FAIL');
    expect(ended).toMatchObject({ code: 0, stdout: expect.stringMatching(/\b3\d cases passed/) });
  });

  test.each([
    4096, 16_384,
  ])('talks with this one over the same files, with pages of %i bytes', async (page) => {
    const dir = bench.channels();
    makeChannel(dir, { name: 'mixed', publishers: ['a'], subscribers: ['b'], slotSize: 4096, depth: 8 });
    const env = { WHERRY_IPC_DIR: dir };
    const host = join(ipcFolder(HOST), 'wherry-ipc');
    const other = `${qemuFor(OTHER)} -p ${page} ${join(ipcFolder(OTHER), 'wherry-ipc')}`;
    const pass = async (from: string, to: string) => {
      await outcome(['sh', '-c', `printf 'one\\ntwo\\n' | ${from} pub mixed --service a`], { env });
      return outcome(
        [...to.split(' '), 'sub', 'mixed', '--count', '2', '--service', 'b', '--timeout', '9999'],
        {
          env,
        },
      );
    };

    expect(await pass(host, other)).toEqual({ code: 0, stdout: 'one\ntwo\n', stderr: '' });
    expect(await pass(other, host)).toEqual({ code: 0, stdout: 'one\ntwo\n', stderr: '' });
  });
});

describe.each(['x64', 'arm64'] as const)('the %s library', (arch) => {
  const library = join(ipcFolder(arch), 'libwherry-ipc.so.1');
  const read = (...args: string[]) => execFileSync('readelf', ['-W', ...args, library], { encoding: 'utf8' });

  test('shows its interface and nothing else', () => {
    const shown = [...read('--dyn-syms').matchAll(/GLOBAL DEFAULT +\d+ (\w+)$/gm)].map(([, name]) => name);
    expect(shown).toContain('wipc_publish');
    const archive = library.replace('.so.1', '.a');
    const linked = execFileSync('readelf', ['-W', '--syms', archive], { encoding: 'utf8' });
    shown.push(...[...linked.matchAll(/GLOBAL \w+ +\d+ (\w+)$/gm)].map(([, name]) => name));
    expect(shown.filter((name) => !name?.startsWith('wipc_'))).toEqual([]);
  });

  test('has its soname and runs with the C library of Debian 10 and later', () => {
    expect(read('-d')).toMatch(/SONAME.*\[libwherry-ipc\.so\.1\]/);
    const needs = [...read('-V').matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
    expect(Math.max(...needs)).toBeLessThanOrEqual(28);
  });
});

test('the header is C++ as well, without a warning', async () => {
  const header = join(ipcFolder(HOST), 'wherry_ipc.h');
  const strict = ['-std=c++11', '-Wall', '-Wextra', '-Werror', '-pedantic'];
  const ended = await outcome(['clang', '-x', 'c++', '-nostdinc++', '-fsyntax-only', ...strict, header]);
  expect(ended).toEqual({ code: 0, stdout: '', stderr: '' });
});

test('the folder is complete, and its pkg-config file finds it wherever it is copied', () => {
  const folder = ipcFolder(HOST);
  expect(readdirSync(folder)).toEqual(
    expect.arrayContaining(['wherry_ipc.h', 'libwherry-ipc.a', 'libwherry-ipc.so', 'wherry-ipc']),
  );
  expect(readFileSync(join(folder, 'wherry-ipc.pc'), 'utf8')).toMatch(/^prefix=\$\{pcfiledir\}$/m);
});
