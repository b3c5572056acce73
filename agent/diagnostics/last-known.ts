import { existsSync } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import type { UpdateStatus } from '../../protocol/messages.ts';
import type { ServiceStatus } from '../../protocol/status.ts';
import type { AgentConfig } from '../config.ts';
import type { AgentStatus } from '../local-api/ports.ts';
import type { ServiceRecord } from '../supervisor/core/record.ts';
import { serviceStatus } from '../supervisor/core/status.ts';
import { serviceOf } from '../supervisor/instance-name.ts';
import type { ObservedContainer } from '../supervisor/ports.ts';
import { ContainerFiles } from '../supervisor/runtime/container-files.ts';
import { bootId } from '../supervisor/runtime/process-identity.ts';
import { inForce } from '../update/core/record.ts';
import { statusOf } from '../update/update-status.ts';
import { type Host, localHost } from './host.ts';
import { lastSeen } from './last-seen.ts';
import { openPatient } from './patient.ts';
import { readConfig } from './read-config.ts';

/** A service as the ledger last had it, and its container as it is at this moment. */
export interface KnownService extends ServiceStatus {
  /** `gone`: there is none any more. */
  container: {
    state: 'running' | 'exited' | 'broken' | 'gone';
    pid?: number;
    exitCode?: number;
    detail?: string;
  };
}

/** What there is to know of a device whose agent does not answer. Times are Unix milliseconds. */
export interface LastKnown {
  /** Where its agent would answer. */
  socket: string;
  /** The agent's last sign of life; absent when it never ran. */
  seenAt?: number;
  /** What the service manager says of it; absent without one. */
  unit?: string;
  device: AgentStatus['device'];
  update: UpdateStatus;
  current?: NonNullable<AgentStatus['current']>;
  services: KnownService[];
  /** Parts that could not be read, in words. */
  gaps: string[];
}

/** Throws when the state folder cannot be read: nothing is known then. */
export async function lastKnown(configFile: string, signal: AbortSignal, root?: string): Promise<LastKnown> {
  const { config, fault: configFault } = readConfig(configFile);
  // Of a configuration that is not there the usual folders are a guess: the fault itself says more than what is not in them.
  if (configFault !== undefined && !existsSync(config.stateDir)) throw new Error(configFault);
  await mustBeOpen(config.stateDir);
  const host = localHost(root);
  const patient = await openPatient({ host, config, configFault, configFile, agent: 'it does not answer' });
  const { identity, record, ledger } = patient;
  const { seenAt, unit } = await lastSeen(host, config, ledger, signal);
  const current = record && inForce(record)?.release;
  const damage = ledger.verdict === 'ok' ? ledger.contentFault : ledger.verdict;
  return {
    socket: config.socket,
    ...(seenAt !== undefined && { seenAt }),
    ...(unit !== undefined && { unit }),
    device: {
      board: config.board.name,
      platform: config.board.platform,
      ...(typeof identity === 'object' && {
        id: identity.device,
        tenant: identity.tenant,
        server: `${identity.mqtt.host}:${identity.mqtt.port}`,
      }),
    },
    update: record ? statusOf(record, seenAt ?? 0, undefined) : { phase: 'idle', since: seenAt ?? 0 },
    ...(current && { current }),
    services: servicesOf(ledger.services, containersOf(config, host)),
    gaps: [
      ...(configFault === undefined ? [] : [configFault]),
      ...(damage === undefined ? [] : [`The ledger cannot be trusted: ${damage}`]),
      ...(typeof identity === 'string' ? [identity] : []),
    ],
  };
}

async function mustBeOpen(stateDir: string): Promise<void> {
  if (!existsSync(stateDir))
    throw new Error(`Cannot look into ${stateDir}: it is not there; no agent ran here`);
  await access(stateDir, constants.R_OK | constants.X_OK).catch((cause: unknown) => {
    throw new Error(`Cannot look into ${stateDir}: it is open to root only; run as root`, { cause });
  });
}

/** Only those of this agent's run folder, told by conmon's files: other containers of the machine are not looked at. */
function containersOf({ runDir, instance }: AgentConfig, host: Host): Map<string, ObservedContainer> {
  if (!host.isRoot || !existsSync(join(runDir, 'services'))) return new Map();
  const files = new ContainerFiles(runDir, bootId(), (service) => `wherry-${instance}-${service}`);
  return new Map(files.services().map((service) => [service, files.observe(service)]));
}

function servicesOf(
  records: Record<string, string>,
  containers: ReadonlyMap<string, ObservedContainer>,
): KnownService[] {
  const known = Object.entries(records).flatMap(([name, text]) => {
    const record = recordOf(text);
    const container = containers.get(name);
    if (record === undefined) return [];
    const status = serviceStatus(serviceOf(name), record, undefined, { container });
    return [{ ...status, container: shown(container) }];
  });
  return known.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function recordOf(text: string): ServiceRecord | undefined {
  try {
    return JSON.parse(text) as ServiceRecord;
  } catch {
    return undefined;
  }
}

function shown(container: ObservedContainer | undefined): KnownService['container'] {
  if (container === undefined) return { state: 'gone' };
  switch (container.state) {
    case 'running':
      return { state: 'running', pid: container.pid };
    case 'exited':
      return { state: 'exited', exitCode: container.exitCode };
    case 'broken':
      return { state: 'broken', detail: container.detail };
  }
}
