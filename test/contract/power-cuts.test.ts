import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT } from '../../scripts/setup.mjs';
import { type Choice, type Cut, cutEverywhere } from '../power-cut/cuts.ts';
import { DiskBench, DiskWatch } from '../power-cut/disk.ts';
import { type Recording, record } from '../power-cut/recording.ts';
import { SCENARIOS } from '../power-cut/scenarios.ts';
import { tableOf } from '../power-cut/table.ts';

/** WHERRY_POWER_CUTS=all cuts everywhere, which takes long; else each durable write, and a share of the rest. */
const isAll = process.env['WHERRY_POWER_CUTS'] === 'all';
const DOCUMENT = join(ROOT, 'docs/update-flow.md');
const TABLE = /(?<=<!-- table -->\n\n)[\s\S]*?(?=\n\n<!-- end -->)/;

let bench: DiskBench;
let shim: string;
beforeAll(() => {
  bench = new DiskBench();
  shim = join(bench.folder, 'cut-shim.so');
  execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', shim, join(ROOT, 'test/power-cut/cut-shim.c')]);
});
afterAll(() => bench.close());

test('a disk holds what was synced when its power went, and not what was only written', async () => {
  const image = bench.make();
  const disk = bench.mount(image);
  const watch = new DiskWatch(image);
  for (const name of ['synced', 'written']) {
    const file = openSync(join(disk, name), 'w');
    writeSync(file, name);
    if (name === 'synced') fsyncSync(file);
    closeSync(file);
  }
  watch.look();
  const afterwards = bench.mount(bench.put(watch.content()));
  expect(readFileSync(join(afterwards, 'synced'), 'utf8')).toBe('synced');
  expect(existsSync(join(afterwards, 'written'))).toBe(false);
  watch.close();
  await bench.unmount(afterwards);
  await bench.unmount(disk);
});

const lazy: { recording: Recording; cuts: Cut[] }[] = [];

async function cutScenario(name: string, isEager: boolean, choice: Choice) {
  const scenario = await (SCENARIOS[name] as (typeof SCENARIOS)[string])();
  const recording = await record(bench, shim, scenario, isEager);
  const cuts = await cutEverywhere(bench, recording, choice);
  const torn = cuts.filter(({ isTorn }) => isTorn).length;
  const kind = isEager ? 'writes, all durable at once' : 'durable writes';
  console.log(
    `${scenario.name}: ${recording.writes.length} ${kind}, ${cuts.length} cut points (${torn} within a write)`,
  );
  return { recording, cuts };
}

const faultsOf = ({ recording, cuts }: { recording: Recording; cuts: Cut[] }): string[] =>
  cuts.flatMap(({ writes, isTorn, known, faults }) => {
    const { operation = 'the start', path = '' } = recording.writes[writes - 1] ?? {};
    const where = `${known.step.title}, ${isTorn ? 'torn ' : ''}behind write ${writes} (${operation} ${path})`;
    return faults.map((fault) => `${where}: ${fault}`);
  });

test.for(Object.keys(SCENARIOS))(
  '%s: cut at every durable write, the device is whole',
  { timeout: 900_000 },
  async (name) => {
    const choice = { torn: isAll ? 2 : 0, isChosen: () => true };
    const run = await cutScenario(name, false, choice);
    lazy.push(run);
    expect(faultsOf(run)).toEqual([]);
  },
);

test.for(Object.keys(SCENARIOS))(
  '%s: on a disk that keeps each write at once, and in the middle of writes',
  { timeout: 1_800_000 },
  async (name) => {
    const isChosen = (writes: number) => isAll || writes % 24 === 0;
    const eager = await cutScenario(name, true, { torn: 0, isChosen });
    expect(faultsOf(eager)).toEqual([]);
    if (isAll) return;
    const torn = await cutScenario(name, false, { torn: 2, isChosen: (writes) => writes % 16 === 3 });
    expect(faultsOf(torn)).toEqual([]);
  },
);

test('docs/update-flow.md says what boots, as it was seen', () => {
  const text = readFileSync(DOCUMENT, 'utf8');
  const table = tableOf(lazy);
  console.log(
    `${lazy.reduce((sum, { recording }) => sum + recording.writes.length, 0)} durable writes in all`,
  );
  if (process.env['WHERRY_WRITE_DOCS'])
    writeFileSync(
      DOCUMENT,
      text.replace(TABLE, () => table),
    );
  expect(readFileSync(DOCUMENT, 'utf8').match(TABLE)?.[0]).toBe(table);
});
