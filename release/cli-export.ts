import { isoTime } from '../protocol/instant.ts';
import { PLATFORMS, type Platform } from '../protocol/manifest.ts';
import { formatBytes } from '../protocol/quantities.ts';
import { type Invocation, need, print, progress } from './cli-io.ts';
import { ReleaseError } from './errors.ts';
import { exportBundle } from './export-bundle.ts';
import { FetchReleaseServer } from './server.ts';

export const BUNDLE_HELP = `Usage: wherry release export NAME VERSION --to FOLDER --server URL [--token TOKEN]

Writes an offline bundle: everything that a device needs to take the release from a stick, with
wherry update apply FOLDER. Safe to repeat: what is there is not fetched again.

  --to FOLDER          where to; made when it is not there
  --days N             how long devices without a network take it, 1 to 90 (default 30)
  --platform PLATFORM  only images for this platform; may be given more than once
  --against VERSION    leave out what this version of the same release holds; may be given more than once
  --server URL         the fleet server (or WHERRY_SERVER)
  --token TOKEN        API token (or WHERRY_TOKEN)
  --json               print the result as JSON
`;

const DEFAULT_DAYS = 30;
const MAX_DAYS = 90;

export async function runExport(invocation: Invocation): Promise<number> {
  const [name = '', version = ''] = invocation.operands;
  const { values, lists, io } = invocation;
  const to = values['to'];
  if (to === undefined) throw new ReleaseError('usage', 'Cannot export: no folder is given; set --to');
  const server = new FetchReleaseServer(
    need(invocation, 'server', 'WHERRY_SERVER', 'server'),
    values['token'] ?? io.env['WHERRY_TOKEN'],
  );
  const result = await exportBundle({
    server,
    name,
    version,
    to,
    days: daysIn(values['days']),
    platforms: (lists['platform'] ?? []).map(platformIn),
    against: (lists['against'] ?? []).map((older) => ({ name, version: older })),
    now: Date.now(),
    onProgress: (object, sizeBytes, done, total) =>
      progress(invocation, `${done}/${total} ${object.slice(0, 24)} ${formatBytes(sizeBytes)}`),
  });
  const saved = result.savedBytes > 0 ? `, ${formatBytes(result.savedBytes)} left out` : '';
  print(invocation, result, [
    `Exported ${name} ${version} to ${to}: ${result.blobs} blobs, ${formatBytes(result.blobBytes)}${saved}`,
    `Devices without a network take it until ${isoTime(result.expiresAt)}`,
  ]);
  return 0;
}

function daysIn(text: string | undefined): number {
  if (text === undefined) return DEFAULT_DAYS;
  const days = /^[1-9][0-9]?$/.test(text) ? Number(text) : MAX_DAYS + 1;
  if (days <= MAX_DAYS) return days;
  throw new ReleaseError('usage', `Cannot use --days ${text}: give a number from 1 to ${MAX_DAYS}`);
}

function platformIn(text: string): Platform {
  const platform = PLATFORMS.find((known) => known === text);
  if (platform) return platform;
  throw new ReleaseError('usage', `Cannot use --platform ${text}: known are ${PLATFORMS.join(', ')}`);
}
