import { join } from 'node:path';
import type { DeviceHealth } from '../protocol/status.ts';
import { kernelLogUsec, readOomKills } from './supervisor/cgroup/oom-log.ts';
import type { LogPump } from './supervisor/logs/log-pump.ts';
import { readLog } from './supervisor/logs/read-log.ts';
import type { CgroupTree, ObservedContainer } from './supervisor/ports.ts';
import type { Capsule } from './supervisor/postmortem/capsule.ts';
import { CapsuleRing } from './supervisor/postmortem/capsule-ring.ts';
import { PostMortems } from './supervisor/postmortem/post-mortems.ts';
import type { DesiredServices } from './supervisor/service-spec.ts';
import type { Supervisor } from './supervisor/supervisor.ts';

/** Log lines that a post-mortem keeps. */
const TAIL_LINES = 50;
/** How far back the kernel's log is looked through for the process it killed. */
const OOM_LOG_USEC = 60_000_000;

export interface PostMortemParts {
  stateDir: string;
  /** Asked only once something has ended. */
  supervisor: () => Pick<Supervisor, 'statuses' | 'why' | 'instanceOf'>;
  /** Containers as the supervisor's last look saw them. */
  seen: () => readonly ObservedContainer[];
  inForce(): DesiredServices;
  health(): DeviceHealth;
  cgroups: CgroupTree;
  pump: LogPump;
  onError(error: unknown): void;
}

/** What is kept of crashes on this machine, and the one who keeps it. */
export function openPostMortems(parts: PostMortemParts): { ring: CapsuleRing; postMortems: PostMortems } {
  const { stateDir, supervisor, seen, inForce, health, cgroups, pump, onError } = parts;
  const ring = new CapsuleRing(join(stateDir, 'capsules'), onError);
  const postMortems = new PostMortems({
    ring,
    statuses: () => supervisor().statuses(),
    why: (service) => supervisor().why(service),
    health,
    inForce,
    exitOf: (service) => exitIn(seen(), supervisor().instanceOf(service)),
    tail: (service) => {
      // What it wrote last may still be in the spool.
      pump.tick();
      return lastLines(join(stateDir, 'logs', service));
    },
    oomKilled: (service) => lastKilled(cgroups.pathOf(supervisor().instanceOf(service))),
    onError,
  });
  return { ring, postMortems };
}

function exitIn(containers: readonly ObservedContainer[], service: string): Capsule['exit'] {
  const ended = containers.find((container) => container.service === service);
  if (ended?.state !== 'exited') return undefined;
  return { code: ended.exitCode, ...(ended.signal !== undefined && { signal: ended.signal }) };
}

async function lastLines(folder: string): Promise<Capsule['log']> {
  const lines: Capsule['log'] = [];
  const signal = new AbortController().signal;
  for await (const line of readLog(folder, { tail: TAIL_LINES, follow: false, signal })) lines.push(line);
  return lines;
}

function lastKilled(cgroup: string): Capsule['oomKilled'] {
  const since = Math.max(0, kernelLogUsec() - OOM_LOG_USEC);
  const killed = readOomKills(since).findLast((kill) => kill.cgroup === cgroup);
  return killed && { pid: killed.pid, command: killed.task };
}
