import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { hasSwapAccounting, openCgroups } from '../../agent/supervisor/cgroup/detect.ts';
import { ConmonRuntime } from '../../agent/supervisor/runtime/conmon.ts';
import type { ExecRequest, ExecSession } from '../../agent/supervisor/session-port.ts';
import { commandLines } from '../support/command-lines.ts';
import { serviceSpec } from '../support/service-specs.ts';
import { tinyImage } from '../support/tiny-image.ts';
import { until } from '../support/until.ts';

const sh = (text: string, more: Partial<ExecRequest> = {}): ExecRequest => ({
  argv: ['/bin/sh', '-c', text],
  ...more,
});
const terminal = { columns: 101, rows: 33, term: 'vt100' };

describe.each(['crun', 'runc'] as const)('programs in a container under %s', (program) => {
  const dir = mkdtempSync(join(tmpdir(), `wherry-session-${program}-`));
  const instance = `s${process.pid}${program}`;
  const cgroups = openCgroups(instance);
  const open = () =>
    new ConmonRuntime({
      runtime: program,
      instance,
      runDir: join(dir, 'run'),
      logsDir: join(dir, 'logs'),
      logMaxBytes: 1 << 20,
      cgroupsPath: (service) => cgroups.pathOf(service),
      volumePath: (volume) => join(dir, 'volumes', volume),
      hasSwapAccounting: hasSwapAccounting(),
    });
  const runtime = open();
  let pid = 0;
  /** The service's own processes. */
  const own = new Set<string>();

  beforeAll(async () => {
    const { folder } = await tinyImage();
    // One that reaps what is orphaned.
    const args = ['/bin/sh', '-c', 'while :; do sleep 1000 & wait; done'];
    const spec = serviceSpec('one', { args, environment: { PATH: '/bin' } });
    ({ pid } = await runtime.start(spec, { rootfs: folder }, async () => undefined));
    const sleeper = await until(() => left().find(isSleep), { what: 'both of its processes' });
    for (const other of [`${pid}`, sleeper]) own.add(other);
  });

  afterAll(async () => {
    await runtime.remove('one');
    await cgroups.remove('one');
    await cgroups.destroy();
    rmSync(dir, { recursive: true, force: true });
  });

  const begun: ExecSession[] = [];
  const begin = async (request: ExecRequest): Promise<ExecSession> => {
    const session = await runtime.openSession('one', request);
    begun.push(session);
    return session;
  };

  afterEach(async () => {
    for (const session of begun.splice(0)) {
      session.close();
      await session.exitCode;
    }
  });

  /** Processes in the container beside the service's own two, and what of an execution lies about on this machine. */
  const left = (): string[] => [
    ...readdirSync('/proc').filter((other) => {
      try {
        const status = readFileSync(`/proc/${other}/status`, 'utf8');
        return (
          /^NSpid:\t\d+\t\d+$/m.test(status) &&
          !/^State:\t[ZX]/m.test(status) &&
          isIn(other) &&
          !own.has(other)
        );
      } catch {
        return false;
      }
    }),
    ...readdirSync(join(dir, 'run/services/one')).filter((name) => name.startsWith('exec-')),
    ...commandLines().filter((line) => line.includes(join(dir, 'run/services/one/exec-'))),
  ];
  const isIn = (other: string): boolean =>
    readFileSync(`/proc/${other}/cgroup`, 'utf8').includes(cgroups.pathOf('one').replace(/^.*:/, ''));
  const nothingLeft = () => until(() => left().length === 0, { what: 'nothing to be left' });

  test('stdout, stderr and stdin are apart, and the exit code is the program’s', async () => {
    const session = await begin(sh('cat; echo wrong >&2; exit 3'));
    await session.write(Buffer.from('given'));
    session.endInput();
    expect(await end(session)).toEqual({ stdout: 'given', stderr: 'wrong\n', exitCode: 3 });
    expect(left()).toEqual([]);
  });

  test('a signal is 128 + n', async () => {
    expect(await end(await begin(sh('kill -TERM $$')))).toMatchObject({ exitCode: 143 });
  });

  test.each([
    ['nosuch', 127, 'its container has no such program'],
    ['/no/such', 127, 'its container has no such program'],
    ['/etc', 126, ''],
  ])('%s ends with %i as in a shell', async (name, exitCode, why) => {
    const words = `wherry: Cannot run "${name}" in service "one": ${why}`;
    const plain = await end(await begin({ argv: [name] }));
    expect(plain).toMatchObject({ stdout: '', stderr: expect.stringContaining(words), exitCode });
    expect(plain.stderr.split('\n')).toHaveLength(2);
    const seen = await end(await begin({ argv: [name], terminal }));
    expect(seen).toMatchObject({ stdout: '', stderr: expect.stringContaining(words), exitCode });
  });

  test('a folder that is not there is said', async () => {
    const { exitCode, stderr } = await end(await begin(sh('pwd', { workingDir: '/no/such' })));
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 126, stderr: expect.stringMatching(/dir/) });
  });

  test('it has the rights of the service and none beyond', async () => {
    const session = await begin({ argv: ['/bin/sleep', '1000'] });
    const other = await until(() => left().find(isSleep), { what: 'the program' });
    const rights = rightsOf(other);
    session.close();
    await session.exitCode;
    expect(rights).toEqual(rightsOf(pid));
    await nothingLeft();
  });

  test('much of it comes whole, and a reader that is slow is waited for', async () => {
    const session = await begin(sh('yes 0123456789abcde | head -c 4000000; echo; echo end'));
    const { stdout, exitCode } = await end(session);
    expect([stdout.length, stdout.slice(-4), exitCode]).toEqual([4_000_005, 'end\n', 0]);
  });

  test('a terminal has its size, kind and keys, and a new size reaches it', async () => {
    const session = await begin(
      sh('read x; tty; stty size; echo $TERM; while read x; do [ "$x" = q ] && exit 7; stty size; done', {
        terminal,
      }),
    );
    let text = '';
    const ended = end(session, (seen) => {
      text = seen;
    });
    await session.write(Buffer.from('\r'));
    await until(() => text.includes('vt100'), { what: 'the terminal' });
    expect(text).toMatch(/^\r\n\/dev\/(pts\/\d|console)\r\n33 101\r\nvt100\r\n/);
    session.resize(140, 50);
    await until(
      async () => {
        await session.write(Buffer.from('\r'));
        return text.includes('50 140');
      },
      { what: 'the new size' },
    );
    await session.write(Buffer.from('q\r'));
    expect(await ended).toMatchObject({ exitCode: 7, stderr: '' });
    expect(left()).toEqual([]);
  });

  test('Ctrl-C is the program’s on a terminal', async () => {
    const session = await begin(
      sh('trap "echo caught; exit 9" INT; echo on; while :; do sleep 0.1; done', { terminal }),
    );
    const ended = end(session, (seen) => {
      if (seen.includes('on') && !seen.includes('^C')) void session.write(Buffer.from('\u0003'));
    });
    expect(await ended).toMatchObject({ exitCode: 9, stdout: expect.stringContaining('caught') });
  });

  test.each([
    ['without a terminal', undefined],
    ['on a terminal', terminal],
  ])('closed %s, it ends at once with all that it started, whatever that ignores', async (_what, its) => {
    const stubborn =
      'trap "" HUP TERM INT; (trap "" HUP; sleep 1000) & env -i sleep 1000 & while :; do echo on; sleep 0.05; done';
    const session = await begin(sh(stubborn, { ...(its && { terminal: its }) }));
    const ended = end(session, (seen) => {
      if (seen.includes('on') && left().length > 3) session.close();
    });
    expect(await ended).toMatchObject({ exitCode: 137 });
    await nothingLeft();
  });

  test('what it leaves in the background ends with it', async () => {
    const { stdout } = await end(await begin(sh('sleep 1000 & echo done')));
    expect(stdout).toBe('done\n');
    await nothingLeft();
  });

  test('what a killed agent had begun is ended by the next', async () => {
    const session = await begin(sh('trap "" HUP; echo on; while :; do sleep 1; done', { terminal }));
    const [piece] = await firstOf(session);
    expect(Buffer.from(piece?.data ?? '').toString()).toBe('on\r\n');
    await open().endStrays();
    await nothingLeft();
    session.close();
    await session.exitCode;
  });

  test('a service that does not run is refused', async () => {
    await expect(runtime.openSession('nobody', sh('true'))).rejects.toThrow(
      'Cannot run /bin/sh in service "nobody": it does not run; start it',
    );
  });
});

/** All it says and how it ends; `seen` is told of all so far after each piece. */
async function end(session: ExecSession, seen: (text: string) => void = () => undefined) {
  const said = { stdout: '', stderr: '' };
  for await (const { stream, data } of session.output) {
    said[stream] += Buffer.from(data).toString();
    seen(said.stdout);
  }
  return { ...said, exitCode: await session.exitCode };
}

const isSleep = (other: string): boolean => /^\d+$/.test(other) && commandOf(other).includes('sleep\0');

const rightsOf = (its: number | string) => ({
  status: readFileSync(`/proc/${its}/status`, 'utf8').match(
    /^(?:Uid|Gid|Groups|Cap\w+|Seccomp|NoNewPrivs):.*$/gm,
  ),
  // runc, in Go, may raise the soft one to the hard one, as any program may.
  limits: readFileSync(`/proc/${its}/limits`, 'utf8').replace(/^(Max open files +)\d+ +/m, '$1'),
  oom: readFileSync(`/proc/${its}/oom_score_adj`, 'utf8'),
  cgroup: readFileSync(`/proc/${its}/cgroup`, 'utf8'),
  namespaces: readdirSync(`/proc/${its}/ns`).map((name) => readlinkSync(`/proc/${its}/ns/${name}`)),
});

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

async function firstOf(session: ExecSession) {
  for await (const piece of session.output) return [piece];
  return [];
}
