import { execFileSync } from 'node:child_process';
import { copyFileSync, createReadStream, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentStatus } from '../../agent/local-api/ports.ts';
import { type BuiltBoard, buildBoard } from '../../boards/builder/build-board.ts';
import { type BootOptions, EmulatedBoard } from '../../boards/emulator/emulated-board.ts';
import { HOST_ADDRESS } from '../../boards/emulator/qemu-arguments.ts';
import { putFiles } from '../../boards/fat.ts';
import { buildIpc } from '../../ipc/build.ts';
import { sha256Hex } from '../../protocol/canonical.ts';
import { verityOf } from '../../protocol/fsverity.ts';
import type { ManifestService } from '../../protocol/manifest.ts';
import type { Report } from '../../protocol/messages.ts';
import { buildForDevice } from '../../scripts/build.ts';
import { ROOT } from '../../scripts/setup.mjs';
import { enrolmentFiles } from '../support/enrolment-files.ts';
import { TestFleet } from '../support/fleet-server.ts';
import { agentLayer, withAgent } from '../support/launched-device.ts';
import {
  type Layer,
  Publisher,
  type ServiceParts,
  type ServiceRelease,
  serviceRelease,
  withChannels,
} from '../support/service-release.ts';
import { makeSigner } from '../support/signed-release.ts';
import { tinyImageOf } from '../support/tiny-image.ts';
import { until } from '../support/until.ts';
import { bundleContract, bundleProgram } from './bundle-contract.ts';
import type { Result } from './guest/vitest.ts';

export const BOARD = 'qemu-virt';
const DEVICE = 'emulated-1';
const SOCKET = '/run/wherry/agent.sock';
const NODE = '/opt/wherry/node_modules/.bin/node';
/** As much of HTTP as the local API needs, in what every Debian has. */
const CALL = `use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or exit 1;
print $s "GET $ARGV[1] HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n"; local $/; my $t = <$s>; $t =~ s/^.*?\\r\\n\\r\\n//s; print $t;
`;

/** Where programs in the board find the small images. */
const COPY_IMAGES = 'mkdir -p /var/tmp && cp -rn /mnt/images/. /var/tmp/';

/** One emulated board, the fleet server it belongs to, and what it takes to speak to both. */
export class BoardBench {
  readonly fleet: TestFleet;
  readonly publisher: Publisher;
  readonly board: EmulatedBoard;
  readonly built: BuiltBoard;
  readonly #layers: Layer[];
  readonly #dir: string;

  private constructor(
    parts: Pick<BoardBench, 'fleet' | 'publisher' | 'board' | 'built'> & { layers: Layer[]; dir: string },
  ) {
    this.fleet = parts.fleet;
    this.publisher = parts.publisher;
    this.board = parts.board;
    this.built = parts.built;
    this.#layers = parts.layers;
    this.#dir = parts.dir;
  }

  /**
   * Builds what the board boots from; not booted. `contract`: files of test/contract that it carries; `programs`: files of
   * the project that it can run.
   */
  static async create(contract: readonly string[], programs: readonly string[] = []): Promise<BoardBench> {
    const dir = await mkdtemp(join(tmpdir(), 'wherry-board-'));
    await buildForDevice(() => undefined);
    const built = await buildBoard({ board: BOARD, variant: 'development' });
    const extra = join(dir, 'extra');
    await bundleContract(contract, extra);
    for (const file of programs) await bundleProgram(file, extra);
    writeFileSync(join(extra, 'call.pl'), CALL);
    const images = join(extra, 'images');
    const base = join(images, tinyImageOf(join(built.packages, 'usr/bin/busybox'), images), 'base.erofs');
    const { digest } = await verityOf(createReadStream(base));
    execFileSync('mkfs.erofs', ['--quiet', '--all-root', join(dir, 'extra.erofs'), extra]);
    const fleet = await TestFleet.start({ publicHost: HOST_ADDRESS });
    const publisher = new Publisher(fleet, makeSigner((await fleet.api('GET', '/repository')).body));
    const board = await EmulatedBoard.create({
      built,
      dir,
      firmwareFiles: await enrolmentFiles(fleet, DEVICE, publisher.signer.rootText),
      spareMib: 512,
      memoryMib: 1024,
      cpus: 2,
      extraDisk: join(dir, 'extra.erofs'),
    });
    const layers = [{ path: base, verity: digest, size: statSync(base).size }, await channelLayer(dir)];
    return new BoardBench({ fleet, publisher, board, built, layers, dir });
  }

  boot(options?: BootOptions): Promise<void> {
    return this.board.boot(options);
  }

  /** Output of a shell command in the board; throws when it fails. */
  async sh(command: string, timeoutMs?: number): Promise<string> {
    const { exitCode, output } = await this.board.run(command, timeoutMs);
    if (exitCode !== 0) throw new Error(`In the board "${command}" ended with ${exitCode}: ${output}`);
    return output.trim();
  }

  /** What the agent's local API answers. */
  async local<T>(path: string): Promise<T> {
    return JSON.parse(await this.sh(`LC_ALL=C perl /mnt/call.pl ${SOCKET} ${path}`)) as T;
  }

  status(): Promise<AgentStatus> {
    return this.local('/v1/status');
  }

  /** Polls the board itself: each look takes a second of it. */
  async untilStatus(
    what: string,
    isWanted: (status: AgentStatus) => boolean,
    timeoutMs = 90_000,
  ): Promise<AgentStatus> {
    let seen: AgentStatus | undefined;
    return until(
      async () => {
        seen = await this.status().catch(() => undefined);
        return seen !== undefined && isWanted(seen) && seen;
      },
      { timeoutMs, what },
    ).catch(async (error: Error) => {
      const journal = await this.sh('journalctl -u wherry-agent --no-pager | tail -30').catch(() => '');
      throw new Error(`${error.message}; the agent says ${JSON.stringify(seen)}\n${journal}`);
    });
  }

  /** The contract tests in the board, those whose name matches. */
  async contract(pattern: string, timeoutMs: number): Promise<Result[]> {
    await this.sh(`${COPY_IMAGES} && rm -f /run/results`);
    const { output } = await this.board.run(
      `TMPDIR=/var/tmp ${NODE} /mnt/contract.js /run/results '${pattern}'`,
      timeoutMs,
    );
    const lines = (await this.sh('cat /run/results')).split('\n');
    if (lines.length === 0) throw new Error(`No contract test ran: ${output}`);
    return lines.map((line) => JSON.parse(line) as Result);
  }

  /** Output of a program that it was created with. */
  program(name: string, timeoutMs: number): Promise<string> {
    return this.sh(`${COPY_IMAGES} && TMPDIR=/var/tmp ${NODE} /mnt/${name}.js`, timeoutMs);
  }

  /**
   * Publishes a signed release for the board and rolls it out. Its services are not shed: a busy test machine is pressure.
   * They may mount the volume "kept".
   */
  async release(
    version: string,
    services: Record<string, Omit<ServiceParts, 'layers'> & { change?: Partial<ManifestService> }>,
    { agent, system }: Brought = {},
  ): Promise<void> {
    const parts = Object.entries(services).map(([name, part]): [string, ServiceParts] => [
      name,
      { ...part, layers: this.#layers },
    ]);
    const made = withChannels(serviceRelease(version, Object.fromEntries(parts), { boards: [BOARD] }), {
      ticks: { publishers: ['one'], subscribers: ['two'], slotSizeBytes: 4096, depth: 8, mode: 'lossy' },
    });
    made.manifest.volumes = { kept: { sizeBytes: 4 * 1024 ** 2, gid: 1000, backing: 'disk' } };
    for (const [name, { change }] of Object.entries(services))
      Object.assign(made.manifest.services[name] ?? {}, { criticality: 'critical' }, change);
    const manifestText = JSON.stringify(made.manifest);
    const plain = { ...made, manifestText, manifestSha256: sha256Hex(manifestText) };
    const withItsAgent = agent ? await this.#bringing(plain, agent) : plain;
    const releaseId = await this.publisher.publish(
      system ? await withSystem(withItsAgent, system) : withItsAgent,
    );
    const { status, body } = await this.fleet.api('POST', '/rollouts', { releaseId, devices: [DEVICE] });
    if (status >= 300) throw new Error(`Cannot roll out ${version}: ${JSON.stringify(body)}`);
  }

  async #bringing(
    plain: ServiceRelease,
    { version, change }: { version: string; change?: (main: string) => string },
  ): Promise<ServiceRelease> {
    const layer = await agentLayer(this.#dir, version, change, 'linux/arm64');
    return withAgent(plain, version, [layer], 'linux/arm64');
  }

  /** What is on the board, to the byte, or with other words on the kernel's command line. */
  async systemWith(version: string, ...words: string[]): Promise<BroughtSystem> {
    const { boot, root, config } = this.built;
    if (words.length === 0) return { version, boot, root };
    const copy = join(this.#dir, `boot-${version}.img`);
    copyFileSync(boot, copy);
    const line = [...config.kernel.commandLine, ...words].join(' ');
    await putFiles(copy, { 'boot.env': Buffer.from(`cmdline=${line}\n`) });
    return { version, boot: copy, root };
  }

  /** What the server has heard of the board last. */
  async report(): Promise<Report | null | undefined> {
    return (await this.fleet.api('GET', `/devices/${DEVICE}`)).body.report;
  }

  async isOnline(): Promise<boolean> {
    return (await this.fleet.api('GET', `/devices/${DEVICE}`)).body.isOnline === true;
  }

  async close(): Promise<void> {
    await this.board.cutPower();
    await this.fleet.close();
    await rm(this.#dir, { recursive: true, force: true });
  }
}

/** What a release brings besides its services; absent = nothing. */
export interface Brought {
  /** The agent that is on the board under another version, and what `change` makes of it. */
  agent?: { version: string; change?: (main: string) => string };
  system?: BroughtSystem;
}

export interface BroughtSystem {
  version: string;
  /** Images of a slot's two partitions. */
  boot: string;
  root: string;
}

async function withSystem(
  release: ServiceRelease,
  { version, boot, root }: BroughtSystem,
): Promise<ServiceRelease> {
  const blobs = await Promise.all(
    [boot, root].map(async (path): Promise<Layer> => {
      const { digest } = await verityOf(createReadStream(path));
      return { path, verity: digest, size: statSync(path).size };
    }),
  );
  const [first, second] = blobs.map(({ verity, size }) => ({ verity, size }));
  if (!first || !second) throw new Error('A system has two parts');
  const system = { version, boards: { [BOARD]: { boot: first, root: second } } };
  const manifest = { ...release.manifest, system };
  const manifestText = JSON.stringify(manifest);
  return {
    layers: [...release.layers, ...blobs],
    manifest,
    manifestText,
    manifestSha256: sha256Hex(manifestText),
  };
}

/** `wherry-ipc` for the board's processor. */
async function channelLayer(dir: string): Promise<Layer> {
  await buildIpc(() => undefined, ['arm64']);
  const folder = join(dir, 'ipc');
  mkdirSync(join(folder, 'bin'), { recursive: true });
  copyFileSync(join(ROOT, 'dist/ipc/linux-arm64/wherry-ipc'), join(folder, 'bin/wherry-ipc'));
  const path = join(dir, 'ipc.erofs');
  execFileSync('mkfs.erofs', ['--quiet', '--all-root', path, folder]);
  const { digest } = await verityOf(createReadStream(path));
  return { path, verity: digest, size: statSync(path).size };
}
