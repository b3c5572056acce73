import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  createReadStream,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { placeAgentFiles } from '../../boards/builder/agent-tree.ts';
import { sha256Hex } from '../../protocol/canonical.ts';
import { verityOf } from '../../protocol/fsverity.ts';
import type { Platform } from '../../protocol/manifest.ts';
import { NODE, ROOT } from '../../scripts/setup.mjs';
import type { RealDevice } from './real-device.ts';
import type { Layer, ServiceRelease } from './service-release.ts';
import { until } from './until.ts';

/** A device whose agent is started by bin/wherry-agent, and again whenever it ends, as a service manager does. */
export class LaunchedDevice {
  readonly device: RealDevice;
  readonly #shipped: string;
  #manager: ChildProcess | undefined;

  private constructor(device: RealDevice, shipped: string) {
    this.device = device;
    this.#shipped = shipped;
  }

  /** With a tree of its own in place of the system image's. dist/agent must have been built. */
  static async create(device: RealDevice): Promise<LaunchedDevice> {
    const shipped = join(device.dir, 'shipped');
    await placeAgentFiles(ROOT, shipped, 'linux/amd64');
    mkdirSync(join(shipped, 'node_modules/.bin'), { recursive: true });
    symlinkSync(NODE, join(shipped, 'node_modules/.bin/node'));
    return new LaunchedDevice(device, shipped);
  }

  /** `silentS`: how long a trial may be silent. */
  async start(silentS: number): Promise<void> {
    const { dir } = this.device;
    const loop =
      'while kill -0 $4 2> /dev/null; do "$1" --config "$2" >> "$3" 2>&1 < /dev/null; sleep 0.1; done';
    const files = [join(this.#shipped, 'bin/wherry-agent'), join(dir, 'agent.json'), join(dir, 'agent.log')];
    const env = { ...process.env, WHERRY_TRIAL_SILENT_S: String(silentS) };
    this.#manager = spawn('sh', ['-c', loop, 'manager', ...files, String(process.pid)], {
      stdio: 'ignore',
      env,
    });
    await this.answers();
  }

  async answers(): Promise<void> {
    await until(() => this.device.status().catch(() => undefined), {
      timeoutMs: 30_000,
      what: 'the agent to answer',
    });
  }

  async pid(): Promise<number> {
    return (await this.device.status()).agent.pid;
  }

  /** The version that a release brought, or "shipped". */
  async running(): Promise<string> {
    const line = readFileSync(`/proc/${await this.pid()}/cmdline`, 'utf8');
    return /\/state\/agent\/([^/]+)-[0-9a-f]{12}\//.exec(line)?.[1] ?? 'shipped';
  }

  /** Ends agent and services, however far they came. */
  async remove(): Promise<void> {
    const { device } = this;
    this.#manager?.kill('SIGKILL');
    const config = join(device.dir, 'agent.json');
    for (const pid of agentsOf(config)) process.kill(pid, 'SIGKILL');
    await until(() => agentsOf(config).length === 0, { what: 'the agent to end' });
    writeFileSync(
      config,
      JSON.stringify({ ...JSON.parse(readFileSync(config, 'utf8')), onStop: 'stop-services' }),
    );
    await device.remove();
  }
}

/** Of the processes of this machine: agents, and launchers that are about to be one. */
function agentsOf(config: string): number[] {
  const found = execFileSync('sh', ['-c', 'pgrep -f -- "--config $1" || :', 'find', config], {
    encoding: 'utf8',
  });
  return found
    .split('\n')
    .map(Number)
    .filter((pid) => {
      if (pid === 0) return false;
      try {
        const [program] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        return program !== undefined && !program.endsWith('pgrep') && statSync(`/proc/${pid}`).isDirectory();
      } catch {
        return false;
      }
    });
}

/** An agent as a layer, without Node; what `change` makes of its main program is what runs. */
export async function agentLayer(
  dir: string,
  version: string,
  change: (main: string) => string = (main) => main,
  platform: Platform = 'linux/amd64',
): Promise<Layer> {
  const tree = join(dir, `agent-${version}`);
  await placeAgentFiles(ROOT, tree, platform);
  const main = join(tree, 'dist/agent/main.js');
  writeFileSync(main, change(readFileSync(main, 'utf8')));
  writeFileSync(join(tree, 'package.json'), JSON.stringify({ version }));
  const path = `${tree}.erofs`;
  rmSync(path, { force: true });
  execFileSync('mkfs.erofs', ['--quiet', path, tree]);
  const { digest } = await verityOf(createReadStream(path));
  return { path, verity: digest, size: statSync(path).size };
}

export function withAgent(
  release: ServiceRelease,
  version: string,
  layers: Layer[],
  platform: Platform = 'linux/amd64',
): ServiceRelease {
  const image = {
    manifestDigest: sha256Hex('agent'),
    layers: layers.map(({ verity, size }) => ({ verity, size, diffId: sha256Hex(verity) })),
  };
  const manifest = { ...release.manifest, agent: { version, images: { [platform]: image } } };
  const manifestText = JSON.stringify(manifest);
  return {
    layers: [...release.layers, ...layers],
    manifest,
    manifestText,
    manifestSha256: sha256Hex(manifestText),
  };
}
