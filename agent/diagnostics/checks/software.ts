import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOfLeaves, leafOf, PIECE_BYTES } from '../../../protocol/fsverity.ts';
import { blobsIn } from '../../../protocol/manifest.ts';
import type { ServiceState } from '../../../protocol/status.ts';
import { ReleaseSlots } from '../../ledger/release-slots.ts';
import { DEBIAN_RUNTIMES } from '../../supervisor/runtime/runtime-program.ts';
import { parseManifest } from '../../update/desired-services.ts';
import { type Check, type CheckRun, type Patient, SOCKET_CLOSED } from '../check.ts';
import { judgeAgent } from '../core/agent-state.ts';
import { cannotTell, fail, ok, skipped } from '../core/finding.ts';
import {
  type ImagesFacts,
  judgeImages,
  judgeLedger,
  judgePrograms,
  type ProgramFacts,
  versionIn,
} from '../core/software.ts';
import type { Host } from '../host.ts';
import { lastSeen } from '../last-seen.ts';

const UP: ServiceState[] = ['running', 'completed', 'starting'];
const IMAGES_MS = 60_000;
/** Reading ends by itself so long before: what was read by then is a finding. */
const MARGIN_MS = 5_000;

export const agent: Check = {
  name: 'agent',
  limitMs: 5_000,
  run: async ({ patient, signal }) => {
    const { agent: seen, host, config, ledger } = patient;
    if (seen === SOCKET_CLOSED) return cannotTell(SOCKET_CLOSED);
    if (typeof seen === 'string')
      return judgeAgent({ isUp: false, why: seen, ...(await lastSeen(host, config, ledger, signal)) });
    return judgeAgent({
      isUp: true,
      version: seen.agent.version,
      link: seen.link.state,
      detail: seen.link.detail,
      faults: (seen.health.faults ?? []).map(({ message }) => message),
      down: seen.services.filter(({ state }) => !UP.includes(state)).map(({ name }) => name),
    });
  },
};

export const configuration: Check = {
  name: 'configuration',
  limitMs: 2_000,
  run: ({ patient: { configFile, configFault } }) =>
    configFault === undefined
      ? ok(`${configFile} can be read`)
      : fail(`The agent does not start: ${configFault}`, 'correct it; docs/device.md has each key'),
};

export const programs: Check = {
  name: 'programs',
  limitMs: 10_000,
  run: async ({ patient: { host, config }, signal }) => {
    const { runtime, runtimes = DEBIAN_RUNTIMES } = config;
    const program = runtimes[runtime]?.program ?? runtime;
    const wanted: (Omit<ProgramFacts, 'version'> & { args?: string[] })[] = [
      { name: program, package: runtime, need: 'always' },
      { name: 'conmon', package: 'conmon', need: 'always' },
      { name: 'mount', package: 'mount', need: 'always' },
      { name: 'unshare', package: 'util-linux', need: 'always' },
      { name: 'nft', package: 'nftables', need: 'network segments and published ports do not work' },
      { name: 'ip', package: 'iproute2', need: 'network segments do not work', args: ['-V'] },
    ];
    const look = async ({
      args = ['--version'],
      ...rest
    }: (typeof wanted)[number]): Promise<ProgramFacts> => ({
      ...rest,
      version: await versionOf(host, rest.name, args, signal),
    });
    return judgePrograms(await Promise.all(wanted.map(look)));
  },
};

export const ledger: Check = {
  name: 'ledger',
  limitMs: 10_000,
  run: ({ patient: { config, ledger: look, host } }) => {
    if (!host.isRoot && look.writtenAt === undefined) return cannotTell('the ledger is open to root only');
    const { path, verdict, contentFault, setAside } = look;
    const copy = new ReleaseSlots(join(config.stateDir, 'release')).load();
    return judgeLedger({ path, verdict, contentFault, setAside, wholeCopies: copy === undefined ? 0 : 1 });
  },
};

export const images: Check = {
  name: 'images',
  limitMs: IMAGES_MS,
  run: async (run) => {
    const { host, config, record } = run.patient;
    if (!host.isRoot) return cannotTell('the blobs are open to root only');
    if (record === undefined) return cannotTell('no record says which blobs are wanted (see ledger)');
    const wanted = blobsOf(run.patient);
    if (wanted.size === 0) return skipped('No release is kept on this device');
    const facts: ImagesFacts = {
      checked: 0,
      checkedBytes: 0,
      wanted: wanted.size,
      damaged: [],
      missing: [],
      isCut: false,
    };
    const signal = AbortSignal.any([run.signal, AbortSignal.timeout(IMAGES_MS - MARGIN_MS)]);
    for (const [verity, size] of wanted) {
      run.progress(`${facts.checked} of ${wanted.size} blobs`);
      const path = join(config.stateDir, 'blobs', `${verity}.erofs`);
      const seen = await verify(path, { verity, size }, signal);
      if (seen === 'cut') return judgeImages({ ...facts, isCut: true });
      if (seen !== 'whole') facts[seen].push(`${verity}.erofs`);
      if (seen === 'missing') continue;
      facts.checked += 1;
      facts.checkedBytes += size;
    }
    return judgeImages(facts);
  },
};

/** Every blob of every release that is whole here, by digest. */
function blobsOf({ record, config }: Patient): Map<string, number> {
  const { platform, name: board } = config.board;
  const manifests = [record?.current, record?.previous].map((release) => parseManifest(release?.manifest));
  const blobs = manifests.flatMap((manifest) => (manifest ? blobsIn(manifest, { platform, board }) : []));
  return new Map(blobs.map(({ verity, size }) => [verity, size]));
}

async function verify(
  path: string,
  { verity, size }: { verity: string; size: number },
  signal: CheckRun['signal'],
): Promise<'whole' | 'damaged' | 'missing' | 'cut'> {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (file === undefined) return 'missing';
  try {
    if ((await file.stat()).size !== size) return 'damaged';
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    const leaves: Buffer[] = [];
    for (let at = 0; at < size; at += PIECE_BYTES) {
      if (signal.aborted) return 'cut';
      const { bytesRead } = await file.read(piece, 0, Math.min(PIECE_BYTES, size - at), at);
      leaves.push(leafOf(piece.subarray(0, bytesRead), size));
    }
    return digestOfLeaves(Buffer.concat(leaves), size) === verity ? 'whole' : 'damaged';
  } catch (error) {
    // The storage does not give it back: EIO.
    if ((error as NodeJS.ErrnoException).code === 'EIO') return 'damaged';
    throw error;
  } finally {
    await file.close();
  }
}

async function versionOf(
  host: Host,
  program: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const text = await host.run(program, args, signal);
    return versionIn(text.split('\n')[0] ?? '');
  } catch (error) {
    if ((error as { isMissing?: boolean }).isMissing) return undefined;
    throw error;
  }
}
