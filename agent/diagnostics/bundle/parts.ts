import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PastEvent } from '../../ledger/update-history.ts';
import type { LogQuery } from '../../local-api/ports.ts';
import { namesIn } from '../../supervisor/health/small-file.ts';
import { serviceOf } from '../../supervisor/instance-name.ts';
import { inForce } from '../../update/core/record.ts';
import { parseManifest } from '../../update/desired-services.ts';
import type { AskAgent } from '../ask-agent.ts';
import type { Patient } from '../check.ts';
import type { Diagnosis } from '../core/finding.ts';
import { keptLogs } from '../kept-logs.ts';
import { lastKnown } from '../last-known.ts';
import { machineParts } from './machine-parts.ts';
import type { Part } from './part.ts';

export interface PartSources {
  patient: Patient;
  ask: AskAgent;
  diagnose(signal: AbortSignal): Promise<Diagnosis>;
}

const LOG_LINES = 5_000;
const JSON_SPACES = 1;

const json = (title: string, read: Part['read']): Part => ({ title, keep: 'head', read });

/** What a support bundle holds, what is read first at the top. */
export function bundleParts({ patient, ask, diagnose }: PartSources): Part[] {
  const { agent, configFile, config, ledger } = patient;
  const isUp = typeof agent === 'object';
  const services = servicesOf(patient);
  const asked = (title: string, path: string): Part => json(title, async () => pretty(await ask(path)));
  return [
    json('doctor', async (signal) => findingsText(await diagnose(signal))),
    isUp
      ? json('status', async () => dump(agent))
      : json('last known, without the agent', async (signal) => dump(await lastKnown(configFile, signal))),
    ...(isUp
      ? services.flatMap((name) => [
          asked(`why of ${name}`, `/v1/services/${name}/why`),
          asked(`inspect of ${name}`, `/v1/services/${name}`),
        ])
      : []),
    ...(isUp
      ? [
          asked('update', '/v1/update'),
          asked('leases', '/v1/leases'),
          asked('channels', '/v1/channels'),
          asked('names of secrets', '/v1/secrets'),
          asked('network segments', '/v1/net'),
        ]
      : []),
    { title: 'events', keep: 'tail', read: async () => eventLines(ledger.events) },
    json('update history', async () => dump(ledger.history)),
    { title: 'events that the server does not have', keep: 'tail', read: async () => dump(ledger.pending) },
    json('what the ledger holds of updates', async () => dump(withoutManifests(patient))),
    json('what the ledger holds of services', async () => dump(recordsOf(ledger.services))),
    json('configuration', () => readFile(configFile, 'utf8')),
    json('environment and programs of services', async () => dump(await processesOf(config.runDir))),
    ...postMortemParts(config.stateDir),
    ...services.map((name) => logPart(configFile, name)),
    ...machineParts(patient),
  ];
}

const eventLines = (events: readonly PastEvent[]): string =>
  events.map(({ at, ...event }) => `${new Date(at).toISOString()} ${JSON.stringify(event)}`).join('\n');

/** Of nothing there is no JSON. */
const dump = (document: unknown): string => JSON.stringify(document ?? null, null, JSON_SPACES);
const pretty = (text: string): string => dump(JSON.parse(text));

function findingsText({ checks }: Diagnosis): string {
  return checks
    .map(({ check, verdict, found, advice, tookMs }) =>
      [
        `${verdict.padEnd(8)}${check.padEnd(14)}${found} (${tookMs} ms)`,
        ...(advice ? [`        → ${advice}`] : []),
      ].join('\n'),
    )
    .join('\n');
}

/** Of the release in force and of whatever left a log here. */
function servicesOf({ record, config, agent }: Patient): string[] {
  const manifest = record && parseManifest(inForce(record)?.manifest);
  const shown = typeof agent === 'object' ? agent.services.map(({ name }) => name) : [];
  const kept = namesIn(join(config.stateDir, 'logs'));
  const running = namesIn(join(config.runDir, 'services')).map(serviceOf);
  return [...new Set([...shown, ...Object.keys(manifest?.services ?? {}), ...running, ...kept])].sort();
}

const short = <T extends { manifest?: string | undefined } | undefined>(held: T) =>
  held && { ...held, manifest: `${held.manifest?.length ?? 0} characters, not shown` };

/** A manifest is long, and the release is known by its digest. */
function withoutManifests({ record }: Patient): unknown {
  return (
    record && {
      ...record,
      current: short(record.current),
      previous: short(record.previous),
      incoming: short(record.incoming),
    }
  );
}

const recordsOf = (services: Record<string, string>): unknown =>
  Object.fromEntries(Object.entries(services).map(([name, text]) => [name, parsed(text)]));

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** As their containers were made: the manifest's words and what the agent added. */
async function processesOf(runDir: string): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const name of namesIn(join(runDir, 'services'))) {
    const text = await readFile(join(runDir, 'services', name, 'config.json'), 'utf8').catch(() => '{}');
    const { process } = (parsed(text) ?? {}) as {
      process?: { args?: unknown; env?: unknown; cwd?: unknown };
    };
    found[name] = { args: process?.args, env: process?.env, cwd: process?.cwd };
  }
  return found;
}

function postMortemParts(stateDir: string): Part[] {
  const folder = join(stateDir, 'capsules');
  const names = namesIn(folder).filter((name) => name.endsWith('.json'));
  return names
    .sort()
    .toReversed()
    .map((name) => ({
      title: `post-mortem ${name.slice(0, -'.json'.length)}`,
      keep: 'head',
      read: async () => pretty(await readFile(join(folder, name), 'utf8')),
    }));
}

const logPart = (configFile: string, service: string): Part => ({
  title: `log of ${service}`,
  keep: 'tail',
  read: async (signal) => {
    const query: LogQuery = { tail: LOG_LINES, follow: false, signal };
    const lines: string[] = [];
    for await (const { at, stream, text } of (await keptLogs(configFile, service, query)) ?? [])
      lines.push(`${new Date(at).toISOString()} ${stream} ${text}`);
    return lines.length ? lines.join('\n') : '(empty)';
  },
});
