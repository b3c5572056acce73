// The programs of docs/channels.md in each language, built as it says against the files of dist/ipc, and run.
import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildIpc, type IpcArch, ipcFolder } from '../../ipc/build.ts';
import { NODE, ROOT } from '../../scripts/setup.mjs';
import { makeChannel } from '../support/ipc-channel.ts';
import { IpcBench, outcome } from '../support/ipc-programs.ts';

const ARCH = process.arch as IpcArch;
const bench = new IpcBench();
afterAll(() => bench.remove());
beforeAll(() => buildIpc(() => {}, [ARCH]), 120_000);

const text = readFileSync(join(ROOT, 'docs/channels.md'), 'utf8');

/** The block whose first line names the file and how it is compiled. */
function compiled(name: string): string[] {
  const [, how, code] =
    new RegExp(`\`\`\`c\\n/\\* ${name}: cc ${name} (.*) \\*/\\n([^]*?)\`\`\``).exec(text) ?? [];
  const source = join(bench.programs, name);
  const program = source.replace('.c', '');
  writeFileSync(source, code ?? '');
  const folder = ipcFolder(ARCH);
  const flags = ['-Wall', '-Werror', `-I${folder}`, `-L${folder}`, `-Wl,-rpath,${folder}`, '-o', program];
  execFileSync('gcc', [source, ...flags, ...(how ?? '').split(' ')]);
  return [program];
}

/** The block whose first line names the file. */
function script(name: string, language: string, comment: string): string {
  const [, code] = new RegExp(`\`\`\`${language}\\n${comment} ${name}\\n([^]*?)\`\`\``).exec(text) ?? [];
  if (code === undefined) throw new Error(`docs/channels.md has no ${name}`);
  const file = join(bench.programs, name);
  writeFileSync(file, code);
  return file;
}

/** As in an image: the package among node_modules, the module and its library on the path. */
function nodeScript(name: string): string[] {
  const modules = join(bench.programs, 'node_modules/wherry-ipc');
  cpSync(join(ipcFolder(ARCH), 'node'), modules, { recursive: true });
  return [NODE, script(name, 'js', '//')];
}

const LANGUAGES = {
  c: { publish: () => compiled('publish.c'), subscribe: () => compiled('subscribe.c') },
  node: { publish: () => nodeScript('publish.mjs'), subscribe: () => nodeScript('subscribe.mjs') },
  python: {
    publish: () => ['python3', script('publish.py', 'python', '#')],
    subscribe: () => ['python3', script('subscribe.py', 'python', '#')],
  },
};

test.each(
  Object.entries(LANGUAGES),
)('a hello goes from one program to the other in %s', async (_, programs) => {
  const dir = bench.channels();
  const services = { publishers: ['greeter'], subscribers: ['listener'] };
  makeChannel(dir, { name: 'greetings', ...services, slotSize: 64, depth: 8 });
  const as = (service: string) => ({
    env: { WHERRY_IPC_DIR: dir, WHERRY_SERVICE: service, PYTHONPATH: ipcFolder(ARCH) },
  });
  const subscribing = outcome(programs.subscribe(), as('listener'));

  expect(await outcome(programs.publish(), as('greeter'))).toMatchObject({ code: 0, stderr: '' });

  expect(await subscribing).toEqual({ code: 0, stdout: 'hello, number 0\n', stderr: '' });
});
