import { admissionTable } from '../../../protocol/admission.ts';
import { formatBytes } from '../../../protocol/quantities.ts';
import type { PlanAnswer, PlannedBlob, UpdateCheckAnswer } from '../../local-api/plan-port.ts';
import type { RehearsedService } from '../../supervisor/core/rehearse.ts';
import { formatDuration } from './duration.ts';
import { layOutTable } from './layout.ts';

type Time = (ms: number) => string;
type Row = [heading: string, text: string];

/** The lines of `wherry update check`: a heading and its text each. */
export function describeCheck(answer: UpdateCheckAnswer, now: number, time: Time): Row[] {
  const { release, verdict, why, metadata, link } = answer;
  const label = release && `${release.name} ${release.version} (generation ${release.generation})`;
  return [
    ['Metadata', describeLook(metadata, time)],
    ['Link', `${link.state.replace('-', ' ')} for ${formatDuration(now - link.since)}`],
    [
      'Offered',
      label ?? 'nothing; the server offers nothing to a device that is pinned there or in no rollout',
    ],
    ['Verdict', VERDICTS[verdict]],
    ...why.map(({ code, message }): Row => ['Why', `${message} [${code}]`]),
  ];
}

const VERDICTS: Record<UpdateCheckAnswer['verdict'], string> = {
  'nothing-offered': 'there is nothing to take',
  runs: 'it runs here already',
  'under-way': 'it is being taken',
  waits: 'it waits',
  refused: 'it is not taken',
};

function describeLook(metadata: UpdateCheckAnswer['metadata'], time: Time): string {
  switch (metadata.state) {
    case 'fresh':
      return `asked for just now and trusted, holds until ${time(metadata.expiresAt)}`;
    case 'refused':
      return `${metadata.message} [${metadata.code}]`;
    case 'unreachable':
      return `not to be had: ${metadata.message}`;
    case 'no-server':
      return 'not asked for: this device is in no fleet';
  }
}

/** The text of `wherry plan`, in its sections. */
export function describePlan(plan: PlanAnswer): { heading: string; lines: string[] }[] {
  return [
    { heading: 'RELEASE', lines: describeRelease(plan) },
    { heading: 'FETCH', lines: describeFetch(plan) },
    { heading: 'FITS', lines: describeFit(plan) },
    { heading: 'STEPS', lines: describeSteps(plan) },
    { heading: 'SERVICES', lines: describeServices(plan.services) },
  ];
}

function describeRelease({ release, folder, current, waits }: PlanAnswer): string[] {
  const from = folder === undefined ? '' : `, from ${folder}`;
  const before = current ? `${current.name} ${current.version}` : 'nothing';
  return [
    `${release.name} ${release.version}${from}, in place of ${before}`,
    ...waits.map(({ code, message }) => `Held now: ${message} [${code}]`),
  ];
}

function describeFetch({ fetch }: PlanAnswer): string[] {
  const total =
    `${formatBytes(fetch.bytes)} to fetch: ${formatBytes(fetch.deltaBytes)} as deltas, ` +
    `${formatBytes(fetch.fullBytes)} whole; ${formatBytes(fetch.haveBytes)} on the disk`;
  const rows = fetch.blobs.map((blob) => [
    blob.of,
    blob.digest.slice(0, 12),
    formatBytes(blob.sizeBytes),
    howOf(blob),
    formatBytes(blob.bytes),
  ]);
  const columns = [
    ...['BLOB', 'DIGEST'].map((title) => ({ title, align: 'left' as const })),
    { title: 'SIZE', align: 'right' as const },
    { title: 'HOW', align: 'left' as const },
    { title: 'TO FETCH', align: 'right' as const },
  ];
  return rows.length > 0 ? [total, ...layOutTable(columns, rows)] : [total];
}

const howOf = ({ how, isBuilding }: PlannedBlob): string =>
  isBuilding ? `${how}, a delta is being made` : how;

function describeFit({ admission, disk }: PlanAnswer): string[] {
  const has = `${formatBytes(disk.freeBytes)} free`;
  const said =
    disk.neededBytes === 0
      ? `disk: nothing to write, ${has}`
      : `disk: ${formatBytes(disk.neededBytes)} needed with its reserve, ${has}${disk.fits ? '' : '; it does not fit'}`;
  return [
    ...admissionTable(admission)
      .split('\n')
      .map((line) => line.trimEnd()),
    said,
  ];
}

function describeSteps({ steps, brings, services, totalMs }: PlanAnswer): string[] {
  const first = [
    ...(brings.system === undefined
      ? []
      : [
          [
            '-',
            'reboot',
            'board',
            `into the system ${brings.system}, on trial: every service stops and starts`,
          ],
        ]),
    ...(brings.agent === undefined
      ? []
      : [['-', 'change', 'agent', `to ${brings.agent}, on trial: services run on meanwhile`]]),
  ];
  const rows = steps.map(({ atMs, kind, service, why }) => [seconds(atMs), kind, service, why]);
  const kept = services
    .filter(({ act }) => act === 'keep')
    .map(({ service }) => ['-', 'keep', service, 'unchanged']);
  const all = [...first, ...rows, ...kept];
  if (all.length === 0) return ['none'];
  const columns = [
    { title: 'AT', align: 'right' as const },
    ...['STEP', 'WHAT', 'WHY'].map((title) => ({ title, align: 'left' as const })),
  ];
  return [...layOutTable(columns, all), `${seconds(totalMs)} until nothing is left to do, then the soak`];
}

function describeServices(services: RehearsedService[]): string[] {
  if (services.length === 0) return ['none'];
  const columns = [
    { title: 'SERVICE', align: 'left' as const },
    { title: 'WHAT', align: 'left' as const },
    { title: 'AWAY', align: 'right' as const },
    { title: 'FROM', align: 'left' as const },
  ];
  const rows = services.map(({ service, act, awayMs, times, waitsFor }) => [
    service,
    waitsFor ?? act,
    act === 'stop' ? 'for good' : seconds(awayMs),
    act === 'keep' || act === 'wait' ? '-' : basis(act, times),
  ]);
  return layOutTable(columns, rows);
}

/** What an estimate is made of. */
function basis(act: RehearsedService['act'], { stop, start, healthy }: RehearsedService['times']): string {
  const parts = [
    ...(act === 'start' ? [] : [`stop ${seconds(stop.ms)} ${stop.from}`]),
    ...(act === 'stop' ? [] : [`start ${seconds(start.ms)} ${start.from}`]),
    ...(act === 'stop' || healthy.ms === 0 ? [] : [`healthy ${seconds(healthy.ms)} ${healthy.from}`]),
  ];
  return parts.join(', ');
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 0)} s`;
