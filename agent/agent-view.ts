import { join } from 'node:path';
import type { DeviceHealth } from '../protocol/status.ts';
import type { AgentConfig } from './config.ts';
import type { Connected } from './connected.ts';
import { childBundles } from './diagnostics/bundle/child.ts';
import type { Identity } from './enrolment/identity.ts';
import type { PatientLedger } from './ledger/patient-ledger.ts';
import type { AgentStatus, AgentView, LeaseDesk } from './local-api/ports.ts';
import type { Steered } from './open-updates.ts';
import { readLog } from './supervisor/logs/read-log.ts';
import type { Supervisor } from './supervisor/supervisor.ts';
import { systemClock } from './system-clock.ts';
import { inForce } from './update/core/record.ts';
import { updateView } from './update-view.ts';
import { AGENT_VERSION } from './version.ts';

/** The agent's side of the fleet. */
export interface Online {
  /** Undefined until the device is enrolled. */
  connected: (Connected & { identity: Identity }) | undefined;
  /** Its updates, in a fleet or not; undefined for the moment in which it joins one. */
  steered: Steered | undefined;
  /** Why enrolment failed last, or why the identity cannot be read. */
  fault: string | undefined;
  /** There is an identity, and it cannot be read. */
  isUnreadable?: true;
}

export interface ViewParts {
  config: AgentConfig;
  supervisor: Supervisor;
  ledger: PatientLedger;
  health(): DeviceHealth;
  online: Online;
  details: Pick<AgentView, 'inspect' | 'capsules' | 'capsule' | 'secrets' | 'channels' | 'holds' | 'exec'>;
  leases: LeaseDesk;
  plans: AgentView['plans'];
  enrolment: AgentView['enrolment'];
  /** Unix ms. */
  startedAt: number;
}

/** What the local API shows, all from memory. */
export function agentView(parts: ViewParts): AgentView {
  const { config, supervisor, ledger, details } = parts;
  const knows = (service: string): boolean => supervisor.statuses().some(({ name }) => name === service);
  return {
    ...details,
    leases: parts.leases,
    bundle: childBundles(),
    plans: parts.plans,
    enrolment: parts.enrolment,
    updates: updateView({ ...parts, clock: systemClock }),
    version: () => AGENT_VERSION,
    status: () => statusOf(parts),
    sample: () => supervisor.sampleUsage(),
    why: (service) => supervisor.why(service),
    events: {
      recent: async function* (query) {
        const { readEvents } = await import('./event-reader.ts');
        yield* readEvents(ledger.events, query);
      },
    },
    net: {
      look: async () => {
        const { lookAtNetworks } = await import('./supervisor/network/look.ts');
        return { at: systemClock.now(), ...(await lookAtNetworks(config)) };
      },
    },
    logs: (service, query) =>
      knows(service) ? readLog(join(config.stateDir, 'logs', service), query) : undefined,
  };
}

function statusOf({ config, supervisor, ledger, health, online, startedAt }: ViewParts): AgentStatus {
  const { board } = config;
  const { connected, steered } = online;
  const identity = connected?.identity;
  const current = steered ? steered.engine.current : inForce(ledger.load())?.release;
  return {
    agent: { version: AGENT_VERSION, startedAt, pid: process.pid },
    device: {
      board: board.name,
      platform: board.platform,
      ...(identity && {
        id: identity.device,
        tenant: identity.tenant,
        server: `${identity.mqtt.host}:${identity.mqtt.port}`,
      }),
    },
    link: linkOf({ online, startedAt }),
    update: steered?.engine.status() ?? { phase: 'idle', since: startedAt },
    ...(current && { current }),
    services: supervisor.statuses(),
    health: health(),
  };
}

/** Also of a device that is in no fleet. */
export function linkOf({ online, startedAt }: Pick<ViewParts, 'online' | 'startedAt'>): AgentStatus['link'] {
  const { connected, fault } = online;
  if (connected) return connected.link();
  return { state: 'not-enrolled', since: startedAt, ...(fault && { detail: fault }) };
}
