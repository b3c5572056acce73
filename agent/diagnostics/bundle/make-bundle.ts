import { isoTime } from '../../../protocol/instant.ts';
import type { AgentStatus } from '../../local-api/ports.ts';
import { AGENT_VERSION } from '../../version.ts';
import { askAgent } from '../ask-agent.ts';
import { redactor } from '../core/redact.ts';
import { diagnose } from '../field.ts';
import { localHost } from '../host.ts';
import { openPatient } from '../patient.ts';
import { readConfig } from '../read-config.ts';
import { knownSecrets } from './known-secrets.ts';
import { bundleParts } from './parts.ts';
import { writeBundle } from './write-bundle.ts';

export interface MakeBundle {
  configFile: string;
  maxBytes: number;
  /** For the record, in its heading. */
  who: string;
  signal: AbortSignal;
}

/**
 * One text about this device, without its secrets. Throws before the first byte when they cannot be read: what is not
 * known cannot be left out.
 */
export async function* makeBundle({
  configFile,
  maxBytes,
  who,
  signal,
}: MakeBundle): AsyncGenerator<Uint8Array> {
  const { config, fault: configFault } = readConfig(configFile);
  const host = localHost();
  if (!host.isRoot)
    throw new Error(
      'Cannot make a support bundle: the secrets to leave out are open to root only; run as root',
    );
  const secrets = await knownSecrets(config);
  const ask = askAgent(config.socket, maxBytes);
  const agent = await statusBy(ask);
  const patient = await openPatient({ host, config, configFault, configFile, agent });
  const { identity } = patient;
  const device =
    typeof identity === 'object'
      ? `${identity.device} of ${identity.tenant}`
      : `${config.name}, not enrolled`;
  yield* writeBundle({
    heading: [
      `Wherry support bundle of ${device}`,
      `Made ${isoTime(host.now())} for ${who}, by ${AGENT_VERSION}; the agent ${typeof agent === 'string' ? `does not answer (${agent})` : `is ${agent.agent.version}`}`,
      `At most ${maxBytes} bytes. ${secrets.count} secrets of this device were looked for; they and what looks like one stand as [redacted]`,
      ...secrets.gaps.map((gap) => `Not recognised: ${gap}`),
    ],
    parts: bundleParts({
      patient,
      ask,
      diagnose: (limit) => diagnose({ configFile, isQuick: true, agent, signal: limit }),
    }),
    redact: redactor(secrets.needles),
    maxBytes,
    signal,
  });
}

async function statusBy(ask: (path: string) => Promise<string>): Promise<AgentStatus | string> {
  try {
    return JSON.parse(await ask('/v1/status')) as AgentStatus;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
