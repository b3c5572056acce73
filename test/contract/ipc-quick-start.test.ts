// The C programs of docs/channels.md, built as it says against the files of dist/ipc, and run.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildIpc, type IpcArch, ipcFolder } from '../../ipc/build.ts';
import { ROOT } from '../../scripts/setup.mjs';
import { makeChannel } from '../support/ipc-channel.ts';
import { IpcBench, outcome } from '../support/ipc-programs.ts';

const ARCH = process.arch as IpcArch;
const bench = new IpcBench();
afterAll(() => bench.remove());
beforeAll(() => buildIpc(() => {}, [ARCH]), 120_000);

/** The block whose first line names the file and how it is compiled. */
function fromDocs(name: string): string {
  const text = readFileSync(join(ROOT, 'docs/channels.md'), 'utf8');
  const [, how, code] =
    new RegExp(`\`\`\`c\\n/\\* ${name}: cc ${name} (.*) \\*/\\n([^]*?)\`\`\``).exec(text) ?? [];
  const source = join(bench.programs, name);
  const program = source.replace('.c', '');
  writeFileSync(source, code ?? '');
  const folder = ipcFolder(ARCH);
  const flags = ['-Wall', '-Werror', `-I${folder}`, `-L${folder}`, `-Wl,-rpath,${folder}`, '-o', program];
  execFileSync('gcc', [source, ...flags, ...(how ?? '').split(' ')]);
  return program;
}

test('a hello goes from one program to the other', async () => {
  const dir = bench.channels();
  const services = { publishers: ['greeter'], subscribers: ['listener'] };
  makeChannel(dir, { name: 'greetings', ...services, slotSize: 64, depth: 8 });
  const as = (service: string) => ({ env: { WHERRY_IPC_DIR: dir, WHERRY_SERVICE: service } });
  const subscribing = outcome([fromDocs('subscribe.c')], as('listener'));

  expect(await outcome([fromDocs('publish.c')], as('greeter'))).toMatchObject({ code: 0, stderr: '' });

  expect(await subscribing).toEqual({ code: 0, stdout: 'hello, number 0\n', stderr: '' });
});
