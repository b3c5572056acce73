import { type Base, basesOf, lackingLayers } from '../../protocol/delta/bases.ts';
import { MOST_CANDIDATES } from '../../protocol/delta/offer.ts';
import { type Manifest, type Platform, type Receiver, systemFor } from '../../protocol/manifest.ts';
import { ProblemError } from '../problems.ts';
import type { UpdateSizes } from '../rest/api.ts';
import type { Database } from '../store/tables.ts';
import type { Deltas } from './deltas.ts';

interface Group {
  manifestSha256: string | null;
  platform: Platform;
  /** Null = the release brings no system for it. */
  board: string | null;
  devices: number;
}

interface Sizes {
  wireBytes: number;
  fullBytes: number;
  isFinal: boolean;
}

/**
 * What an update would send to these devices, by what they run. Deltas that are not there yet are begun: until then
 * the figure is what a whole blob would take, and not final.
 */
export async function updateSizes(
  { db, deltas }: { db: Database; deltas: Deltas },
  wanted: { releaseId: string; devices: readonly string[] },
): Promise<UpdateSizes> {
  const release = await db
    .selectFrom('releases')
    .select('manifestJson')
    .where('id', '=', wanted.releaseId)
    .executeTakeFirst();
  if (!release) throw new ProblemError('release.unknown', `There is no release ${wanted.releaseId}`);
  const incoming = JSON.parse(release.manifestJson) as Manifest;
  const items: UpdateSizes['items'] = [];
  for (const group of await groupsOf(db, wanted.devices, incoming)) {
    const base = await baseOf(db, group.manifestSha256);
    const held = base ? [base.manifest] : [];
    const { devices, platform, board } = group;
    const sizes = await sizesFor(deltas, incoming, held, { platform, board: board ?? undefined });
    items.push({ base: base?.ref ?? null, platform, ...(board !== null && { board }), devices, ...sizes });
  }
  return { items };
}

async function groupsOf(db: Database, devices: readonly string[], incoming: Manifest): Promise<Group[]> {
  const wanted = new Set(devices);
  const rows = await db
    .selectFrom('devices')
    .leftJoin('deviceState', 'deviceState.deviceId', 'devices.id')
    .select(['devices.id as id', 'platform', 'board', 'currentManifest'])
    .execute();
  const groups = new Map<string, Group>();
  for (const { id, platform, board: ofDevice, currentManifest: manifestSha256 } of rows) {
    if (!wanted.has(id)) continue;
    const board = systemFor(incoming, ofDevice) === undefined ? null : ofDevice;
    const key = `${platform} ${board} ${manifestSha256}`;
    const group = groups.get(key);
    if (group) group.devices++;
    else groups.set(key, { manifestSha256, platform: platform as Platform, board, devices: 1 });
  }
  return [...groups.values()].sort((a, b) => b.devices - a.devices);
}

async function baseOf(db: Database, manifestSha256: string | null) {
  if (manifestSha256 === null) return undefined;
  const row = await db
    .selectFrom('releases')
    .select(['id', 'name', 'version', 'manifestJson'])
    .where('manifestSha256', '=', manifestSha256)
    .executeTakeFirst();
  if (!row) return undefined;
  const { id, name, version, manifestJson } = row;
  return { ref: { id, name, version }, manifest: JSON.parse(manifestJson) as Manifest };
}

async function sizesFor(
  deltas: Deltas,
  incoming: Manifest,
  held: readonly Manifest[],
  receiver: Receiver,
): Promise<Sizes> {
  const sum: Sizes = { wireBytes: 0, fullBytes: 0, isFinal: true };
  for (const layer of lackingLayers(incoming, held, receiver)) {
    const bases = basesOf(layer, incoming, held, receiver).slice(0, MOST_CANDIDATES);
    const { wireBytes, fullBytes, isFinal } = await layerSizes(deltas, layer, bases);
    sum.wireBytes += wireBytes;
    sum.fullBytes += fullBytes;
    sum.isFinal &&= isFinal;
  }
  return sum;
}

async function layerSizes(deltas: Deltas, layer: Base, bases: readonly Base[]): Promise<Sizes> {
  const olds = bases.map(({ verity }) => verity);
  const offer = await deltas.offerFrom(layer.verity, olds);
  const records = [undefined, ...olds].map((old) => deltas.known(layer.verity, old));
  const compressed = records[0]?.bytes ?? records.find((record) => record)?.plainBytes ?? layer.size;
  const fullBytes = Math.min(layer.size, compressed);
  const wireBytes = offer.state === 'ready' ? offer.bytes : offer.state === 'none' ? layer.size : fullBytes;
  return { wireBytes, fullBytes, isFinal: offer.state !== 'building' };
}
