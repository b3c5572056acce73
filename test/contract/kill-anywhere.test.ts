import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { hasSwapAccounting, openCgroups } from '../../agent/supervisor/cgroup/detect.ts';
import { ConmonRuntime } from '../../agent/supervisor/runtime/conmon.ts';
import { runtimeProgram } from '../../agent/supervisor/runtime/runtime-program.ts';
import { commandLines } from '../support/command-lines.ts';
import type { RuntimeChildOptions } from '../support/runtime-child.ts';
import { serviceSpec } from '../support/service-specs.ts';
import { type TinyImage, tinyImage } from '../support/tiny-image.ts';
import { until } from '../support/until.ts';

const CHILD = join(import.meta.dirname, '../support/runtime-child.ts');
let image: TinyImage;
beforeAll(async () => {
  image = await tinyImage();
});

// Recognised among all processes of the machine.
const spec = serviceSpec('victim', { args: ['/bin/sh', '-c', `sleep 77${process.pid} & wait`] });

describe.each(['crun', 'runc'] as const)('%s, killed anywhere', (program) => {
  const dir = mkdtempSync(join(tmpdir(), `wherry-kill-${program}-`));
  const instance = `t${process.pid}kill${program}`;
  const cgroups = openCgroups(instance);
  const script = join(dir, 'runtime');
  const base = {
    instance,
    runDir: join(dir, 'run'),
    logsDir: join(dir, 'run/logs'),
    hasSwapAccounting: hasSwapAccounting(),
    runtimes: { any: { program: script } },
  };
  const runtime = (): ConmonRuntime =>
    new ConmonRuntime({
      ...base,
      runtime: 'any',
      logMaxBytes: 1 << 18,
      cgroupsPath: (service) => cgroups.pathOf(service),
      volumePath: () => dir,
    });

  /** A runtime that runs `line` first when it is called with this command, once. */
  function writeRuntime(command = '', line = ''): void {
    const flag = join(dir, 'armed');
    if (command === '') rmSync(flag, { force: true });
    else writeFileSync(flag, '');
    const call = `${runtimeProgram(program, dir)} "$@"`;
    const hook =
      command === ''
        ? ''
        : `case " $* " in *" ${command} "*) [ -e ${flag} ] && rm ${flag} && { ${line}; };; esac`;
    writeFileSync(script, `#!/bin/sh\n${hook}\nexec ${call}\n`.replaceAll('CALL', call));
    chmodSync(script, 0o700);
  }

  /** Runs the child to its end; whether it was killed. */
  function child(action: 'start' | 'remove', dieAt?: RuntimeChildOptions['dieAt']): Promise<boolean> {
    const path = join(dir, 'options.json');
    const options: RuntimeChildOptions = {
      ...base,
      rootfs: image.folder,
      cgroupsPath: cgroups.pathOf(spec.name),
      spec,
      action,
      dieAt,
    };
    writeFileSync(path, JSON.stringify(options));
    return new Promise((resolve) => {
      execFile(process.execPath, [CHILD, path], (error) => resolve(error?.signal === 'SIGKILL'));
    });
  }

  beforeAll(() => {
    mkdirSync(base.logsDir, { recursive: true });
    writeRuntime();
  });
  afterEach(async () => {
    writeRuntime();
    await runtime().remove(spec.name);
    await cgroups.remove(spec.name);
    await until(() => leftovers() === '' && files().length === 0, { what: 'nothing to be left' });
  });
  afterAll(async () => {
    await cgroups.destroy();
    rmSync(dir, { recursive: true, force: true });
  });

  const files = (): string[] =>
    ['run/services', 'run/oci', 'run/exits']
      .map((folder) => join(dir, folder))
      .flatMap((folder) => (existsSync(folder) ? readdirSync(folder) : []));
  /** Command lines of conmon, runtimes and the service's own processes. */
  const leftovers = (): string =>
    commandLines()
      .filter((line) => line.includes(`wherry-${instance}-`) || line.includes(`sleep 77${process.pid}`))
      .join('\n');

  /** What the next agent does: look, and ask for the service to run. */
  async function heal(): Promise<void> {
    const next = runtime();
    const [seen] = await next.observe();
    expect(['running', 'broken', undefined]).toContain(seen?.state);
    await next.start(spec, { rootfs: image.folder }, async () => undefined);
    expect(await next.observe()).toMatchObject([
      { service: spec.name, state: 'running', specDigest: spec.digest },
    ]);
    await until(() => copies() === 1, { what: 'exactly one container' });
  }

  test.each([
    'bundle',
    'waiting',
    'created',
    'verify',
    'started',
  ] as const)('an agent killed at "%s" of a start: the next one has exactly one container', async (point) => {
    expect(await child('start', point)).toBe(true);
    await heal();
  });

  test.each([
    ['goes on', 'kill -9 $(cat AGENT)'],
    ['is still at work when the next one looks', 'kill -9 $(cat AGENT); sleep 3'],
  ])('an agent killed while the runtime creates, which %s', async (_how, line) => {
    writeRuntime('create', line.replace('AGENT', join(dir, 'options.json.pid')));
    expect(await child('start')).toBe(true);
    await heal();
  });

  // The runtime's parent is conmon in `create` and the agent in the rest.
  test.each([
    ['the runtime, before create', 'create', 'kill -9 $$'],
    ['the runtime, before start', 'start', 'kill -9 $$'],
    ['conmon, before create', 'create', 'kill -9 $PPID; exit 1'],
    ['conmon, behind create', 'create', 'CALL; kill -9 $PPID; exit 0'],
  ])('%s killed: the start fails, and the next one has exactly one container', async (_who, command, line) => {
    writeRuntime(command, line);
    await expect(runtime().start(spec, { rootfs: image.folder }, async () => undefined)).rejects.toThrow(
      'Cannot',
    );
    await until(() => leftovers() === '', { what: 'nothing to be left' });
    await heal();
  });

  test.each([
    ['before', 'kill -9 $PPID; exit 1'],
    ['behind', 'CALL; kill -9 $PPID; exit 0'],
  ])('an agent killed %s the delete of a removal: the next one removes the rest', async (_when, line) => {
    await runtime().start(spec, { rootfs: image.folder }, async () => undefined);
    writeRuntime('delete', line);
    expect(await child('remove')).toBe(true);
    await runtime().remove(spec.name);
    expect(await runtime().observe()).toEqual([]);
    await until(() => leftovers() === '', { what: 'nothing to be left' });
  });
});

const copies = (): number =>
  commandLines().filter((line) => line.startsWith(`sleep 77${process.pid}`)).length;
