import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { channelBudgetBytes } from '../protocol/channels.ts';
import { verityOf } from '../protocol/fsverity.ts';
import { looseningsOf } from '../protocol/loosenings.ts';
import {
  layersIn,
  type Manifest,
  type ManifestAgent,
  type ManifestService,
  type Platform,
  targetPath,
} from '../protocol/manifest.ts';
import {
  type Delegator,
  delegationsOf,
  parseRole,
  type SignedRole,
  signersOf,
  verifyRole,
} from '../protocol/tuf.ts';
import { isDelegated } from '../protocol/tuf-paths.ts';
import { blobsOf } from './build.ts';
import { messageOf } from './errors.ts';
import { blobPath, type ManifestFile, readManifest, readMetadata } from './folder.ts';

export interface SignatureReport {
  state: 'good' | 'unsigned' | 'bad';
  /** What is wrong, where the state is bad. */
  fault?: string;
  rootVersion?: number;
  targetsVersion?: number;
  expires?: string;
  /** The team whose role names the release; absent = targets themselves. */
  role?: string;
  /** Keyids of the role's keys whose signature is good. */
  signedBy: string[];
}

/** Of the manifest as it is; what a service does not ask for is absent. */
type Asked = Pick<
  ManifestService,
  | 'kind'
  | 'runtime'
  | 'criticality'
  | 'dependsOn'
  | 'health'
  | 'segments'
  | 'ports'
  | 'devices'
  | 'secrets'
  | 'update'
  | 'restart'
  | 'network'
>;

export interface InspectedService extends Asked {
  name: string;
  images: Partial<
    Record<
      Platform,
      { manifestDigest: string; layers: number; sizeBytes: number; user: string; args: string[] }
    >
  >;
  resources: ManifestService['resources'];
  /** What the release asks for beyond the default confinement. */
  loosenings: string[];
}

export interface Inspection {
  name: string;
  version: string;
  description?: string;
  manifestSha256: string;
  boards: string[];
  services: InspectedService[];
  volumes: Manifest['volumes'];
  networks?: Manifest['networks'];
  /** With the memory that each takes of the device, in bytes. */
  channels?: Record<string, NonNullable<Manifest['channels']>[string] & { budgetBytes: number }>;
  /** The agent that it brings, and its EROFS bytes by platform. */
  agent?: { version: string; sizeBytes: Partial<Record<Platform, number>> };
  /** The system that it brings, and its bytes by board. */
  system?: { version: string; sizeBytes: Record<string, number> };
  /** EROFS bytes of the images by platform, shared layers once. */
  sizeBytes: Partial<Record<Platform, number>>;
  signature: SignatureReport;
  /** Blobs that are missing or not what the manifest says, one line each. */
  blobFaults: string[];
}

/** Reads and checks a whole release folder: every blob is hashed. Faults are in the result; only a folder that is no release throws. */
export async function inspectRelease(options: {
  dir: string;
  /** Root metadata trusted beforehand (JSON text); without it the folder's own first root is the anchor. */
  trustedRoot?: string;
}): Promise<Inspection> {
  const file = await readManifest(options.dir);
  const { manifest } = file;
  return {
    name: manifest.name,
    version: manifest.version,
    ...(manifest.description !== undefined && { description: manifest.description }),
    manifestSha256: file.sha256,
    boards: manifest.boards,
    services: Object.entries(manifest.services).map(inspectService),
    volumes: manifest.volumes,
    ...(manifest.networks !== undefined && { networks: manifest.networks }),
    ...(manifest.channels !== undefined && { channels: withBudgets(manifest.channels) }),
    ...(manifest.agent && { agent: inspectAgent(manifest.agent) }),
    ...(manifest.system && { system: inspectSystem(manifest.system) }),
    sizeBytes: sizesOf(manifest),
    signature: await inspectSignature(options.dir, file, options.trustedRoot),
    blobFaults: await findBlobFaults(options.dir, manifest),
  };
}

function inspectService([name, service]: [string, ManifestService]): InspectedService {
  const images = Object.entries(service.images).flatMap(([platform, image]) =>
    image
      ? [
          [
            platform,
            {
              manifestDigest: image.manifestDigest,
              layers: image.layers.length,
              sizeBytes: image.layers.reduce((total, { size }) => total + size, 0),
              user: `${image.uid}:${image.gid}`,
              args: image.args,
            },
          ] as const,
        ]
      : [],
  );
  const {
    images: _images,
    security: _security,
    stop: _stop,
    mounts: _mounts,
    init: _init,
    ...asked
  } = service;
  return {
    name,
    ...asked,
    images: Object.fromEntries(images),
    loosenings: looseningsOf(service),
  };
}

const withBudgets = (channels: NonNullable<Manifest['channels']>): NonNullable<Inspection['channels']> =>
  Object.fromEntries(
    Object.entries(channels).map(([name, channel]) => [
      name,
      { ...channel, budgetBytes: channelBudgetBytes(channel) },
    ]),
  );

function inspectAgent({ version, images }: ManifestAgent): NonNullable<Inspection['agent']> {
  const sizes = Object.entries(images).map(([platform, image]) => [
    platform,
    (image?.layers ?? []).reduce((total, { size }) => total + size, 0),
  ]);
  return { version, sizeBytes: Object.fromEntries(sizes) };
}

const inspectSystem = ({ version, boards }: NonNullable<Manifest['system']>): Inspection['system'] => ({
  version,
  sizeBytes: Object.fromEntries(
    Object.entries(boards).map(([board, { boot, root }]) => [board, boot.size + root.size]),
  ),
});

function sizesOf(manifest: Manifest): Partial<Record<Platform, number>> {
  const sizes: Partial<Record<Platform, number>> = {};
  for (const platform of ['linux/amd64', 'linux/arm64'] as const) {
    const layers = new Map(layersIn(manifest, platform).map(({ verity, size }) => [verity, size]));
    if (layers.size === 0) continue;
    sizes[platform] = [...layers.values()].reduce((total, size) => total + size, 0);
  }
  return sizes;
}

async function inspectSignature(
  dir: string,
  file: ManifestFile,
  trustedRoot: string | undefined,
): Promise<SignatureReport> {
  const texts = await readMetadata(dir);
  if (texts.targets === undefined) return { state: 'unsigned', signedBy: [] };
  try {
    const root = walkRoots(texts.roots, trustedRoot);
    const targets = parseRole('targets', texts.targets);
    verifyRole(root, 'targets', targets);
    const signer = signerOf(
      root,
      targets,
      texts.delegated,
      targetPath(file.manifest.name, file.manifest.version),
    );
    const { role, delegator, metadata } = signer;
    const report = {
      rootVersion: root.signed.version,
      targetsVersion: targets.signed.version,
      expires: metadata.signed.expires,
      ...(role !== 'targets' && { role }),
      signedBy: signersOf(delegator, role, metadata),
    };
    verifyRole(delegator, role, metadata);
    const fault = targetFault(role, metadata, file);
    return fault ? { state: 'bad', fault, ...report } : { state: 'good', ...report };
  } catch (error) {
    return { state: 'bad', fault: messageOf(error), signedBy: [] };
  }
}

/** The role that names the release: targets, or the first that they delegate its path to and that names it. */
function signerOf(
  root: SignedRole<'root'>,
  targets: SignedRole<'targets'>,
  delegated: Record<string, string>,
  path: string,
): { role: string; delegator: Delegator; metadata: SignedRole<'targets'> } {
  const own = { role: 'targets', delegator: root, metadata: targets };
  if (targets.signed.targets[path]) return own;
  for (const role of delegationsOf(targets).filter((named) => isDelegated(named, path))) {
    const text = delegated[role.name];
    const metadata = text === undefined ? undefined : parseRole('targets', text, role.name);
    if (metadata?.signed.targets[path]) return { role: role.name, delegator: targets, metadata };
  }
  return own;
}

/** TUF 1.0.34 §5.3: each root is signed by the keys of the one before and by its own, versions rise by one. */
function walkRoots(texts: string[], trustedRoot: string | undefined): SignedRole<'root'> {
  const roots = texts.map((text) => parseRole('root', text));
  const first = trustedRoot === undefined ? roots[0] : parseRole('root', trustedRoot);
  if (!first) throw new Error('there is no root metadata');
  verifyRole(first, 'root', first);
  let root = first;
  for (const next of roots) {
    if (next.signed.version <= root.signed.version) continue;
    if (next.signed.version !== root.signed.version + 1)
      throw new Error(`root version ${root.signed.version + 1} is missing`);
    verifyRole(root, 'root', next);
    verifyRole(next, 'root', next);
    root = next;
  }
  return root;
}

function targetFault(
  role: string,
  targets: SignedRole<'targets'>,
  { manifest, bytes, sha256 }: ManifestFile,
): string | undefined {
  const path = targetPath(manifest.name, manifest.version);
  const target = targets.signed.targets[path];
  if (!target) return `${role}.json does not name ${path}`;
  if (target.length !== bytes.length || target.hashes['sha256'] !== sha256)
    return 'manifest.json is not the one that was signed';
  if (targets.signed.isExpired(new Date())) return `${role}.json expired on ${targets.signed.expires}`;
  return undefined;
}

async function findBlobFaults(dir: string, manifest: Manifest): Promise<string[]> {
  const faults: string[] = [];
  for (const { verity, sizeBytes } of blobsOf(manifest)) {
    const path = blobPath(dir, verity);
    const name = `blob ${verity.slice(0, 12)}`;
    const stats = await stat(path).catch(() => undefined);
    if (!stats) faults.push(`${name} is missing`);
    else if (stats.size !== sizeBytes) faults.push(`${name} has ${stats.size} bytes; wanted ${sizeBytes}`);
    else if ((await verityOf(createReadStream(path, { highWaterMark: 1024 * 1024 }))).digest !== verity)
      faults.push(`${name} does not hold what its digest says`);
  }
  return faults;
}
