import { expect, test } from 'vitest';
import { type PluginFile, readPlugin, refusal } from './plugin.ts';

const run = (exitCode: number | undefined, stdout = '', why?: string): ReturnType<typeof readPlugin> =>
  readPlugin({ exitCode, stdout, why });

test('exit codes and first lines, as of Nagios plugins', () => {
  expect([0, 1, 2, 3].map((code) => run(code, 'DISK OK - free\nmore').verdict)).toEqual([
    'ok',
    'warn',
    'fail',
    'skipped',
  ]);
  expect(run(0, 'DISK OK - free\nmore').found).toBe('DISK OK - free');
  expect(run(0).found).toBe('The plugin said nothing');
  expect(run(127, 'not found')).toMatchObject({
    verdict: 'fail',
    found: 'The plugin ended with 127: not found',
  });
  expect(run(undefined, '', 'it took longer than 10 s').found).toBe(
    'The plugin was killed: it took longer than 10 s',
  );
});

test('JSON says it whatever the exit code, and is closed', () => {
  const told = run(0, '{"verdict":"fail","found":"broken","advice":"mend it"}');
  expect(told).toEqual({ verdict: 'fail', found: 'broken', advice: 'mend it' });
  expect(run(0, '{"verdict":"ok","found":"x","more":1}').found).toContain('more is not a known field');
  expect(run(0, '{"verdict":"great","found":"x"}').found).toContain('verdict is none of');
  expect(run(0, '{"verdict":"ok"}').found).toContain('found is not a sentence');
  expect(run(0, '{"verdict":').found).toContain('it is no JSON');
  expect(run(0, JSON.stringify({ verdict: 'ok', found: 'x'.repeat(5_000) })).found).toHaveLength(1_000);
});

const file: PluginFile = { name: '10-rs485', kind: 'file', uid: 0, mode: 0o755 };

test.each<[Partial<PluginFile>, string | undefined]>([
  [{}, undefined],
  [{ mode: 0o700 }, undefined],
  [{ uid: 1000 }, 'it belongs to user 1000, not to root'],
  [{ mode: 0o775 }, 'others than root may write to it'],
  [{ mode: 0o757 }, 'others than root may write to it'],
  [{ mode: 0o644 }, 'it is not executable'],
  [{ kind: 'other' }, 'it is not a plain file'],
  [{ name: '.hidden' }, 'its name has characters other than letters, digits, ".", "_" and "-"'],
  [{ name: 'a b' }, 'its name has characters other than letters, digits, ".", "_" and "-"'],
])('whether a file is run: %o', (change, why) => {
  expect(refusal({ ...file, ...change })).toBe(why);
});
