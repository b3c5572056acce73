import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { blobsInUse } from '../../agent/update/blobs-in-use.ts';
import type { UpdateRecord } from '../../agent/update/core/record.ts';
import { FakeWorkloads } from '../../agent/update/fake-workloads.ts';
import { until } from '../support/until.ts';
import { type Agent, type AgentOptions, openAgent, RECEIVER } from './agent.ts';
import { type BoardBoot, bootBoard } from './board.ts';
import { chooseAgent } from './choose.ts';
import type { Scenario } from './story.ts';

class WatchedWorkloads extends FakeWorkloads {
  readonly #onApply: (version: string | undefined) => void;

  constructor(onApply: (version: string | undefined) => void) {
    super();
    this.#onApply = onApply;
  }

  override apply(...[desired]: Parameters<FakeWorkloads['apply']>): void {
    this.#onApply(desired.release?.version);
    super.apply(desired);
  }
}

export interface DeviceOptions extends Pick<AgentOptions, 'stateDir' | 'factoryRoot' | 'source' | 'onMark'> {
  scenario: Pick<Scenario, 'fleetKey' | 'illAgents' | 'illSystems'>;
  /** The board is up already, and only its agent is started anew. */
  booted?: BoardBoot | undefined;
}

/**
 * A device: services that outlive agents, and one agent at a time, started again by whatever bin/choose-agent says when
 * it gives way or does not come up.
 */
export async function openDevice(options: DeviceOptions) {
  const { stateDir, scenario } = options;
  const { fleetKey, illAgents, illSystems } = scenario;
  const boot = (): BoardBoot | undefined => illSystems && bootBoard(stateDir, illSystems);
  let booted = options.booted ?? boot();
  const ran: string[] = [];
  const workloads = new WatchedWorkloads((version) => {
    ran.push(`${version} on ${booted?.system}`);
  });
  let switching: Promise<void> | undefined;
  let isStopped = false;

  /** One that is ill ends at its start, before it does anything. */
  const choose = (): string | undefined => {
    for (;;) {
      const chosen = illAgents && chooseAgent(stateDir);
      if (!illAgents?.some((version) => chosen?.startsWith(`${version}-`))) return chosen;
    }
  };
  const launch = (running: string | undefined): Promise<Agent> =>
    openAgent({ ...options, fleetKey, workloads, running, onLeave: giveWay, booted, onReboot: reboot });
  const next = async (): Promise<void> => {
    await agent.stop();
    if (isStopped) return;
    agent = await launch(choose());
    switching = undefined;
    agent.engine.start();
  };
  const giveWay = (): void => {
    switching = next();
  };
  /** Services end with the boot. */
  const again = async (): Promise<void> => {
    await agent.stop();
    if (isStopped) return;
    workloads.applied.length = 0;
    booted = boot();
    agent = await launch(choose());
    switching = undefined;
    agent.engine.start();
  };
  const reboot = (): void => {
    // The engine waits for the answer to its wish before it lets itself be stopped.
    switching = new Promise<void>((resolve) => setImmediate(resolve)).then(again);
  };
  const settle = async (): Promise<void> => {
    const begun = switching;
    await begun;
    if (begun) await settle();
  };
  const firstChosen = choose();
  let agent = await launch(firstChosen);
  return {
    workloads,
    firstChosen,
    /** "<version> on <system>" of all that was run. */
    ran,
    get booted(): BoardBoot | undefined {
      return booted;
    },
    /** What the first agent read from the disk. */
    loaded: agent.loaded,
    get agent(): Agent {
      return agent;
    },
    /** No agent is up just now. */
    get isSwitching(): boolean {
      return switching !== undefined;
    },
    /** Resolves when the agent that is to run has begun. */
    start: async (): Promise<void> => {
      agent.engine.start();
      await settle();
      // A board that is on its way into another slot runs nothing yet.
      await until(() => switching === undefined && workloads.desired !== undefined, { timeoutMs: 60_000 });
    },
    stop: async (): Promise<void> => {
      isStopped = true;
      // An agent that has given way has stopped already.
      if (switching) await switching;
      else await agent.stop();
    },
  };
}

export type Device = Awaited<ReturnType<typeof openDevice>>;

/** Files in the blob folder that no release needs, or that are left from a download that is done. */
export function orphansOf(record: UpdateRecord, stateDir: string): string[] {
  const folder = join(stateDir, 'blobs');
  const inUse = blobsInUse(record, RECEIVER) ?? new Set();
  const wanted = new Set([...inUse].map((verity) => `${verity}.erofs`));
  return existsSync(folder) ? readdirSync(folder).filter((name) => !wanted.has(name)) : [];
}
