// libFuzzer against the reader of a channel: test/ipc-c/fuzz/reader.c, from the inputs in test/corpus/ipc-reader.
import { cpSync, mkdtempSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ROOT } from '../../scripts/setup.mjs';
import { IpcBench, outcome } from '../support/ipc-programs.ts';

const CORPUS = join(ROOT, 'test/corpus/ipc-reader');
const SECONDS = Number(process.env['FUZZ_SECONDS'] ?? 15);
const bench = new IpcBench();
afterAll(() => bench.remove());

const compile = (name: string, library?: string[]) =>
  bench.compile({
    name,
    sources: ['fuzz', 'fixture.c'],
    flags: ['-O1', '-fsanitize=fuzzer,address,undefined', '-fno-sanitize-recover=undefined'],
    compiler: 'clang',
    ...(library === undefined ? {} : { library }),
  });

function fuzz(program: string, ...args: string[]) {
  const cwd = mkdtempSync(join(bench.programs, 'fuzz-'));
  cpSync(CORPUS, join(cwd, 'corpus'), { recursive: true });
  const env = { WHERRY_IPC_DIR: bench.channels() };
  return outcome([program, '-max_len=512', '-len_control=0', ...args, 'corpus'], {
    cwd,
    env,
    timeoutMs: SECONDS * 1000 + 60_000,
  });
}

test('survives whatever a publisher writes', { timeout: SECONDS * 1000 + 120_000 }, async () => {
  const program = await compile('fuzz');

  const ended = await fuzz(program, `-max_total_time=${SECONDS}`);

  console.log(ended.stderr.trim().split('\n').at(-1));
  expect(ended.stderr).not.toMatch(/ERROR|FAIL|runtime error/);
  expect(ended.code).toBe(0);
  expect(Number(/^Done (\d+) runs/m.exec(ended.stderr)?.[1])).toBeGreaterThan(readdirSync(CORPUS).length);
});

test('its inputs find a reader that trusts lengths', { timeout: 60_000 }, async () => {
  const library = bench.spoilt('reader.c', 'length > geometry->slot_size', 'length > UINT32_MAX - 1');

  const ended = await fuzz(await compile('fuzz-spoilt', library), '-runs=0');

  expect(ended.code).not.toBe(0);
  expect(ended.stderr).toContain('FAIL');
});
