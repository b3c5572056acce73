import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { blobsInUse } from '../../agent/update/blobs-in-use.ts';
import type { UpdateRecord } from '../../agent/update/core/record.ts';
import { FakeWorkloads } from '../../agent/update/fake-workloads.ts';
import { type Agent, type AgentOptions, openAgent, RECEIVER } from './agent.ts';
import { chooseAgent } from './choose.ts';
import type { Scenario } from './story.ts';

export interface DeviceOptions extends Pick<AgentOptions, 'stateDir' | 'factoryRoot' | 'source' | 'onMark'> {
  scenario: Pick<Scenario, 'fleetKey' | 'illAgents'>;
}

/**
 * A device: services that outlive agents, and one agent at a time, started again by whatever bin/choose-agent says when
 * it gives way or does not come up.
 */
export async function openDevice(options: DeviceOptions) {
  const { stateDir, scenario } = options;
  const { fleetKey, illAgents } = scenario;
  const workloads = new FakeWorkloads();
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
    openAgent({ ...options, fleetKey, workloads, running, onLeave: giveWay });
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
