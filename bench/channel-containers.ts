// Containers for the benchmark `channels`: each process in one of its own, written by the agent's code, on channels that
// the agent's code made. What peers need is bound in as well: a shared /tmp and /dev/shm, a network namespace.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasSwapAccounting, openCgroups, openChannelCgroups } from '../agent/supervisor/cgroup/detect.ts';
import { channelsFolder, SharedMemoryChannels } from '../agent/supervisor/channels/shared-memory.ts';
import { ociSpec } from '../agent/supervisor/runtime/oci-spec.ts';
import { runtimeProgram } from '../agent/supervisor/runtime/runtime-program.ts';
import type { ServiceChannel, ServiceSpec } from '../agent/supervisor/service-spec.ts';
import { systemClock } from '../agent/system-clock.ts';
import { ROOT } from '../scripts/setup.mjs';
import { serviceSpec } from '../test/support/service-specs.ts';

const INSTANCE = `bench-channels-${process.pid}`;
/** Nothing here is to be throttled or to run out: the transport is what is measured. */
const RESOURCES = { memoryMaxBytes: 1024 ** 3, cpuMax: 64, pidsMax: 256 };
const ENVIRONMENT = {
  PATH: '/usr/bin:/bin',
  WHERRY_IPC_CLIENT: `/wherry/dist/ipc/linux-${process.arch}/node/index.js`,
  WHERRY_MQTT: '/wherry/node_modules/mqtt/build/index.js',
  PYTHONPATH: `/wherry/dist/ipc/linux-${process.arch}`,
};

export interface Running {
  id: string;
  /** Standard output, once it has ended with 0. */
  ended: Promise<string>;
  /** Of its first process. */
  pid(): number;
  kill(): void;
}

const bind = (source: string, target: string, ...options: string[]) => ({ source, target, options });

export class BenchContainers {
  readonly dir = mkdtempSync(join(tmpdir(), 'wherry-bench-'));
  readonly #rootfs = join(this.dir, 'rootfs');
  readonly #netns = `wherry-bench-${process.pid}`;
  readonly #cgroups = openCgroups(INSTANCE);
  readonly #crun: string;
  readonly #memory = new SharedMemoryChannels({
    runDir: this.dir,
    cgroups: openChannelCgroups(INSTANCE),
    ownerOf: async () => 0,
    clock: systemClock,
  });
  readonly #running = new Map<string, Running>();
  #channels: readonly ServiceChannel[] = [];
  #count = 0;

  constructor() {
    for (const folder of ['rootfs', 'tmp', 'shm', 'programs']) mkdirSync(join(this.dir, folder));
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', join(this.dir, 'shm')]);
    for (const name of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${name}`, join(this.#rootfs, name));
    // Iceoryx and mosquitto ask for the names of their user and group.
    mkdirSync(join(this.#rootfs, 'etc'));
    writeFileSync(join(this.#rootfs, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n');
    writeFileSync(join(this.#rootfs, 'etc/group'), 'root:x:0:\n');
    this.#crun = runtimeProgram('crun', this.dir);
  }

  /** Where programs are put that containers find in /programs. */
  get programs(): string {
    return join(this.dir, 'programs');
  }

  /** Makes the channels and tells their peers that everybody is up. */
  async prepare(channels: readonly ServiceChannel[]): Promise<void> {
    this.#channels = channels;
    execFileSync('ip', ['netns', 'add', this.#netns]);
    execFileSync('ip', ['-n', this.#netns, 'link', 'set', 'lo', 'up']);
    await this.#cgroups.prepare(RESOURCES);
    const services = new Set(
      channels.flatMap(({ publishers, subscribers }) => [...publishers, ...subscribers]),
    );
    const specs = [...services].map((name) => this.#spec(name, []));
    for (const [id, error] of await this.#memory.prepare(specs))
      throw new Error(`Channel ${id}`, { cause: error });
    const ids = channels.map(({ id }) => id);
    const uses = [...services].map((service) => ({ service, startedAt: Date.now(), channels: ids }));
    await this.#memory.settle(specs, uses);
  }

  /** Starts a program as a service; namespaces of its own, but for the network where `shared`. */
  start(service: string, args: string[], { isShared = false } = {}): Running {
    const id = `${INSTANCE}-${this.#count++}`;
    const bundle = join(this.dir, id);
    mkdirSync(bundle);
    const place = {
      rootfs: this.#rootfs,
      cgroupsPath: `/wherry-${INSTANCE}/${id}`,
      volumePath: () => '',
      hasSwapAccounting: hasSwapAccounting(),
      channelsDir: channelsFolder(this.dir),
      ...(isShared && { netns: `/run/netns/${this.#netns}` }),
      mounts: [
        bind('/usr', '/usr', 'ro'),
        bind(ROOT, '/wherry', 'ro'),
        bind(this.programs, '/programs', 'ro'),
        bind(join(this.dir, 'tmp'), '/tmp'),
        bind(join(this.dir, 'shm'), '/dev/shm'),
      ],
    };
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(ociSpec(this.#spec(service, args), place)));
    const running = this.#run(id, bundle);
    this.#running.set(id, running);
    return running;
  }

  #run(id: string, bundle: string): Running {
    const child = spawn(this.#crun, ['run', '--bundle', bundle, id], { stdio: ['ignore', 'pipe', 'pipe'] });
    let [output, errors] = ['', ''];
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (errors += data));
    const ended = new Promise<string>((resolve, reject) => {
      child.on('close', (code) => {
        this.#running.delete(id);
        if (code === 0) resolve(output);
        else reject(new Error(`Ended with ${code}: ${errors.trim() || output.trim()}`));
      });
    });
    ended.catch(() => undefined);
    const crun = (...args: string[]) => execFileSync(this.#crun, args, { encoding: 'utf8', stdio: 'pipe' });
    return {
      id,
      ended,
      pid: () => (JSON.parse(crun('state', id)) as { pid: number }).pid,
      kill: () => {
        try {
          crun('delete', '--force', id);
        } catch {
          // It has ended by itself.
        }
      },
    };
  }

  #spec(service: string, args: string[]): ServiceSpec {
    const channels = this.#channels.filter(
      ({ publishers, subscribers }) => publishers.includes(service) || subscribers.includes(service),
    );
    const user = { uid: 0, gid: 0 };
    return serviceSpec(service, { args, ...user, environment: ENVIRONMENT, resources: RESOURCES, channels });
  }

  async close(): Promise<void> {
    for (const running of this.#running.values()) {
      running.kill();
      await running.ended.catch(() => undefined);
    }
    await this.#memory.destroy();
    await this.#cgroups.destroy();
    execFileSync('ip', ['netns', 'delete', this.#netns]);
    execFileSync('umount', [join(this.dir, 'shm')]);
    rmSync(this.dir, { recursive: true, force: true });
  }
}
