import { apply, applyTorn, type DiskBench, seeded } from './disk.ts';
import { judge, type Known, knownAt } from './judge.ts';
import type { Recording } from './recording.ts';

/** One cut of the power: behind so many writes, or, torn, while the next was on its way to the disk. */
export interface Cut {
  writes: number;
  isTorn: boolean;
  known: Known;
  boots: string | undefined;
  faults: string[];
}

/** Disks that are looked at side by side: most of it is waiting. */
const AT_ONCE = 4;

export interface Choice {
  /** How often the power is cut while a write is on its way, too; 0: never. */
  torn: number;
  /** Whether to cut behind so many writes. */
  isChosen(writes: number): boolean;
}

/** Cuts a recording's power behind each chosen write, and in the middle of the one that follows. */
export async function cutEverywhere(
  bench: DiskBench,
  recording: Recording,
  { torn, isChosen }: Choice,
): Promise<Cut[]> {
  const cuts: Cut[] = [];
  const lanes: Promise<void>[] = Array.from({ length: AT_ONCE }, async () => {});
  const add = async (content: Buffer, writes: number, isTorn: boolean) => {
    const lane = cuts.length % AT_ONCE;
    await lanes[lane];
    const made: Cut = { writes, isTorn, known: knownAt(recording, writes), boots: undefined, faults: [] };
    // The network is there at once for every other one.
    const isOnlineAtOnce = cuts.push(made) % 2 === 0;
    lanes[lane] = look(bench, recording, bench.put(content), made, isOnlineAtOnce);
  };
  const content = Buffer.from(recording.before);
  for (let writes = 0; writes <= recording.writes.length; writes++) {
    apply(content, recording.writes[writes - 1]?.delta ?? new Map());
    if (!isChosen(writes)) continue;
    await add(content, writes, false);
    const next = recording.writes[writes]?.delta ?? new Map();
    for (let seed = 1; seed <= torn && next.size > 1; seed++) {
      const half = Buffer.from(content);
      applyTorn(half, next, seeded(writes * 1_000 + seed));
      await add(half, writes, true);
    }
  }
  await Promise.all(lanes);
  return cuts;
}

async function look(
  bench: DiskBench,
  recording: Recording,
  image: string,
  cut: Cut,
  isOnlineAtOnce: boolean,
): Promise<void> {
  try {
    const disk = bench.mount(image);
    const { boots, faults } = await judge(disk, recording, cut.known, isOnlineAtOnce);
    cut.boots = boots;
    cut.faults.push(...faults.map((fault) => (isOnlineAtOnce ? `${fault} (online at once)` : fault)));
    await bench.unmount(disk);
    bench.discard(image);
  } catch (error) {
    cut.faults.push(String(error));
  }
}
