import { channelBudgetBytes } from '../../protocol/channels.ts';
import { looseningsOf } from '../../protocol/loosenings.ts';
import { layersIn, type Manifest, type ManifestService } from '../../protocol/manifest.ts';
import type { Release } from '../rest/api.ts';
import type { Database, ReleaseRow } from '../store/tables.ts';

/** A release as REST shows it. */
export async function releaseView(db: Database, row: ReleaseRow): Promise<Release> {
  const manifest = JSON.parse(row.manifestJson) as Manifest;
  const { count } = await db
    .selectFrom('deviceState')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('currentManifest', '=', row.manifestSha256)
    .executeTakeFirstOrThrow();
  return {
    id: row.id,
    name: row.name,
    version: row.version,
    description: manifest.description ?? '',
    manifestSha256: row.manifestSha256,
    boards: [...manifest.boards],
    sizeBytes: sizesOf(manifest),
    services: Object.entries(manifest.services).map(([name, service]) =>
      serviceView(name, service, manifest.networks),
    ),
    ...(manifest.channels && { channels: channelViews(manifest.channels) }),
    ...(manifest.agent && { agentVersion: manifest.agent.version }),
    ...(manifest.system && { system: systemView(manifest.system) }),
    signedBy: JSON.parse(row.signedByJson) as string[],
    targetsVersion: row.targetsVersion,
    uploadedAt: row.uploadedAt,
    uploadedBy: row.uploadedBy,
    deviceCount: Number(count),
  };
}

function serviceView(
  name: string,
  service: ManifestService,
  declared: Manifest['networks'],
): Release['services'][number] {
  const { resources, network, images, segments, ports, criticality, dependsOn, health, kind } = service;
  const loosenings = looseningsOf(service);
  return {
    name,
    memoryMaxBytes: resources.memoryMaxBytes,
    cpuMax: resources.cpuMax,
    pidsMax: resources.pidsMax,
    network,
    layers: Math.max(...Object.values(images).map((image) => image?.layers.length ?? 0)),
    ...(segments && {
      networks: Object.keys(segments).map((segment) =>
        declared?.[segment]?.internal ? `${segment} (internal)` : segment,
      ),
    }),
    ...(ports && {
      ports: ports.map(
        ({ address, host, protocol, container }) => `${address ?? '*'}:${host}/${protocol} to ${container}`,
      ),
    }),
    ...(kind && { kind }),
    ...(criticality !== undefined && { criticality }),
    ...(dependsOn && { dependsOn }),
    ...(health && { health: checkText(health.check) }),
    ...(loosenings.length > 0 && { loosenings }),
  };
}

function channelViews(channels: NonNullable<Manifest['channels']>): Release['channels'] {
  return Object.entries(channels).map(([name, channel]) => ({
    name,
    ...channel,
    memoryBytes: channelBudgetBytes(channel),
  }));
}

const systemView = ({ version, boards }: NonNullable<Manifest['system']>): Release['system'] => ({
  version,
  sizeBytes: Object.fromEntries(
    Object.entries(boards).map(([board, { boot, root }]) => [board, boot.size + root.size]),
  ),
});

function checkText(check: NonNullable<ManifestService['health']>['check']): string {
  if (check.kind === 'exec') return check.args.join(' ');
  return check.kind === 'http' ? `GET :${check.port}${check.path}` : `TCP port ${check.port}`;
}

/** Shared layers count once: that is how they are stored and fetched. */
function sizesOf(manifest: Manifest): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (const platform of ['linux/amd64', 'linux/arm64'] as const) {
    const layers = new Map(layersIn(manifest, platform).map(({ verity, size }) => [verity, size]));
    if (layers.size > 0) sizes[platform] = [...layers.values()].reduce((total, size) => total + size, 0);
  }
  return sizes;
}
