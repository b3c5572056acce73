import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serviceChannel } from '../../agent/supervisor/from-manifest.ts';
import type { DesiredServices, ServiceChannel, ServiceSpec } from '../../agent/supervisor/service-spec.ts';
import type { ChannelStatus } from '../../protocol/channel-status.ts';
import type { ChannelDefinition } from '../../protocol/channels.ts';
import { channelImage } from './channel-image.ts';
import { tracesOf } from './machine.ts';
import { realSupervisor } from './real-supervisor.ts';
import { shellService } from './service-specs.ts';
import { until } from './until.ts';

type Parts = Partial<Omit<ServiceSpec, 'digest'>>;

/** Where a container finds it. */
export const FRAMES = '/run/wherry/ipc/frames';
export const RING = `${FRAMES}/ring.camera`;
const PEERS = ['camera', 'detector', 'recorder'];

/** A camera and two readers, unless a test wants something else. */
export const frames = (change: Partial<ChannelDefinition> = {}): ServiceChannel =>
  serviceChannel('frames', {
    publishers: ['camera'],
    subscribers: ['detector', 'recorder'],
    slotSizeBytes: 64 * 1024,
    depth: 8,
    mode: 'lossy',
    ...change,
  });

export const releaseOf = (...services: ServiceSpec[]): DesiredServices => ({
  release: { name: 'channels', version: '1', generation: 1 },
  services,
});

/** A supervisor with real containers, with user ids of their own, on real channels. */
export class ChannelBench {
  readonly dir: string;
  readonly instance: string;
  readonly channelsDir: string;
  #image: Awaited<ReturnType<typeof channelImage>>;
  parts: ReturnType<typeof realSupervisor>;

  private constructor(dir: string, instance: string, image: Awaited<ReturnType<typeof channelImage>>) {
    this.dir = dir;
    this.instance = instance;
    this.channelsDir = join(dir, 'run/channels');
    this.#image = image;
    this.parts = this.agent();
    this.parts.supervisor.start();
  }

  /** `letter`: with the process it makes the name of the instance. */
  static async open(letter: string): Promise<ChannelBench> {
    const dir = mkdtempSync(join(tmpdir(), 'wherry-channels-'));
    // The users of containers must be able to get to their files.
    chmodSync(dir, 0o711);
    return new ChannelBench(dir, `${letter}${process.pid}`, await channelImage(dir));
  }

  /** Another supervisor of the same machine, not started. */
  agent(): ReturnType<typeof realSupervisor> {
    return realSupervisor(this.dir, this.instance, this.#image.blobDir, { isWhole: true });
  }

  /** The agent goes and leaves everything; the next one comes up. */
  async changeAgents(): Promise<void> {
    await this.parts.supervisor.stop({ services: 'keep' });
    this.parts = this.agent();
    this.parts.supervisor.start();
  }

  /** Everything is taken down; throws when something is left. The bench can be used on. */
  async clear(): Promise<void> {
    await this.parts.supervisor.stop({ services: 'stop' });
    const left = (): unknown[] => [
      ...Object.entries(tracesOf(this.instance, this.dir)).filter(([, found]) => found.length > 0),
      ...(existsSync(this.channelsDir) ? readdirSync(this.channelsDir) : []),
    ];
    // A loop device goes a moment after its last mount.
    await until(() => left().length === 0, { timeoutMs: 3_000 }).catch(() => {
      throw new Error(`Something is left: ${JSON.stringify(left())}`);
    });
    rmSync(join(this.dir, 'memory.json'), { force: true });
    this.parts = this.agent();
    this.parts.supervisor.start();
  }

  async close(): Promise<void> {
    await this.parts.supervisor.stop({ services: 'keep' });
    rmSync(this.dir, { recursive: true, force: true });
  }

  service(name: string, channels?: ServiceChannel[], more: Parts = {}): ServiceSpec {
    const script = 'exec sleep 1000';
    return shellService(this.#image.verity, name, script, { ...(channels && { channels }), ...more });
  }

  /** They run, and each channel says so. */
  async bring(...services: ServiceSpec[]): Promise<void> {
    const { supervisor } = this.parts;
    supervisor.apply(releaseOf(...services));
    const isRunning = (name: string): boolean =>
      supervisor.statuses().some((status) => status.name === name && status.state === 'running');
    await until(() => supervisor.health().isConverged && services.every(({ name }) => isRunning(name)), {
      timeoutMs: 30_000,
      what: `${services.map(({ name }) => name).join(', ')} to run`,
    });
    await until(() => this.#areTold(services), { what: 'the peers to be told' });
  }

  bringAll(channel: ServiceChannel): Promise<void> {
    return this.bring(...PEERS.map((name) => this.service(name, [channel])));
  }

  frames(): ChannelStatus {
    const status = this.parts.channels.status().find(({ name }) => name === 'frames');
    if (status === undefined) throw new Error('There is no channel frames');
    return status;
  }

  async run(service: string, script: string): Promise<string> {
    const args = ['/bin/sh', '-c', script];
    const { output } = await this.parts.runtime.exec(service, args, AbortSignal.timeout(20_000));
    return output.trim();
  }

  publish(service: string, ...lines: string[]): Promise<string> {
    return this.run(service, `printf '%s\\n' ${lines.join(' ')} | wherry-ipc pub frames`);
  }

  /** That many messages, one after the other. */
  take(service: string, count: number): Promise<string> {
    return this.run(service, `wherry-ipc sub frames --raw --count ${count} --timeout 5000`);
  }

  told(code: string): { code: string; service?: string | undefined }[] {
    return this.parts.events.filter((event) => event.code === code);
  }

  /** A file of the channel, on the machine. */
  file(name: string, channel = frames()): string {
    return join(this.channelsDir, channel.id, name);
  }

  #areTold(services: readonly ServiceSpec[]): boolean {
    const names = services.map(({ name }) => name);
    return this.parts.channels
      .status()
      .flatMap(({ publishers, subscribers }) => [...publishers, ...subscribers])
      .every(({ service, isUp }) => isUp === names.includes(service));
  }
}
