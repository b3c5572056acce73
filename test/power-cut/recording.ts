import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { serialize } from 'node:v8';
import { flashBoard } from './board.ts';
import { type Delta, type DiskBench, DiskWatch } from './disk.ts';
import type { Mark } from './marks.ts';
import { writeStick } from './play.ts';
import type { Scenario } from './story.ts';

export interface Write {
  /** The operation of the C library, and the file below the state folder. */
  operation: string;
  path: string;
  /** What reached the disk with it and since the one before. */
  delta: Delta;
}

export interface Recording {
  scenario: Scenario;
  factoryRoot: string;
  /** The disk before the agent was first started. */
  before: Buffer;
  writes: Write[];
  /** With the number of writes that were done when it was said. */
  marks: { after: number; mark: Mark }[];
}

const CHILD = fileURLToPath(new URL('child.ts', import.meta.url));

/** Plays a scenario once and keeps what reached the disk behind each of its writes. */
export async function record(
  bench: DiskBench,
  shim: string,
  scenario: Scenario,
  isEager: boolean,
): Promise<Recording> {
  const file = join(bench.folder, 'scenario');
  const factoryRoot = join(bench.folder, 'factory-root.json');
  writeFileSync(file, serialize(scenario));
  writeFileSync(factoryRoot, scenario.factoryRoot);
  for (const { stick } of scenario.steps) if (stick) writeStick(bench.folder, stick);
  const image = bench.make();
  const disk = bench.mount(image);
  mkdirSync(join(disk, 'state'));
  if (scenario.illSystems) flashBoard(join(disk, 'state'));
  execFileSync('sync', ['-f', disk]);
  const watch = new DiskWatch(image);
  const recording: Recording = { scenario, factoryRoot, before: watch.content(), writes: [], marks: [] };
  try {
    const environment = {
      CUT_ROOT: join(disk, 'state'),
      CUT_OUT: '3',
      CUT_IN: '4',
      CUT_SHIM: shim,
      LD_PRELOAD: shim,
    };
    await listen([CHILD, file, disk], { ...environment, ...(isEager && { CUT_EAGER: '1' }) }, (line) => {
      if (line.startsWith('M ')) {
        recording.marks.push({ after: recording.writes.length, mark: JSON.parse(line.slice(2)) as Mark });
        return false;
      }
      const [, operation = '', path = ''] = line.split(' ');
      recording.writes.push({ operation, path, delta: watch.look() });
      return true;
    });
  } finally {
    watch.close();
    await bench.unmount(disk);
    bench.discard(image);
  }
  return recording;
}

/** Runs Node under the shim; `onLine` says whether the process waits for leave to go on. */
async function listen(
  args: string[],
  environment: Record<string, string>,
  onLine: (line: string) => boolean,
): Promise<void> {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
  });
  let complaint = '';
  child.stderr?.on('data', (data: Buffer) => {
    complaint += String(data);
  });
  const go = child.stdio[4] as Writable;
  go.on('error', () => {});
  createInterface({ input: child.stdio[3] as Readable }).on('line', (line) => {
    if (onLine(line)) go.write('.');
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0)
    throw new Error(`Cannot play the scenario: the agent ended with ${String(code)}: ${complaint}`);
}
