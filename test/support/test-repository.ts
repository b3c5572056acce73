import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import {
  Metadata,
  MetadataKind,
  MetaFile,
  Root,
  Snapshot,
  TargetFile,
  Targets,
  Timestamp,
} from '@tufjs/models';
import { type Assignment, type AssignmentEnvelope, signAssignment } from '../../protocol/assignment.ts';
import { sha256Hex } from '../../protocol/canonical.ts';
import { type KeyChange, signKeyChange } from '../../protocol/fleet-key.ts';
import { verityOf } from '../../protocol/fsverity.ts';
import { type Manifest, targetPath } from '../../protocol/manifest.ts';
import { blobObject, leavesObject, manifestObject } from '../../protocol/objects.ts';
import { FLOORS_FIELD } from '../../protocol/release-line.ts';
import { type RoleName, roleText, type SignedRole, signRole, tufKeyOf } from '../../protocol/tuf.ts';

const ROLES = ['root', 'timestamp', 'snapshot', 'targets'] as const;
const SPEC = { specVersion: '1.0.31' };
const keyPair = () => generateKeyPairSync('ed25519').privateKey;
type PrivateKey = ReturnType<typeof keyPair>;

export interface TestLayer {
  verity: string;
  size: number;
  content: Buffer;
}

export interface TestRelease {
  name: string;
  version: string;
  manifest: string;
  document: Manifest;
}

/** A release repository really signed, in memory: object name → content, as a chunk server gives it out. */
export class TestRepository {
  readonly objects = new Map<string, Buffer>();
  fleetKey = keyPair();
  #keyChanges: KeyChange[] = [];
  readonly keys: Record<RoleName, PrivateKey> = {
    root: keyPair(),
    timestamp: keyPair(),
    snapshot: keyPair(),
    targets: keyPair(),
  };
  readonly versions: Record<RoleName, number> = { root: 0, timestamp: 0, snapshot: 0, targets: 0 };
  expires = '2099-01-01T00:00:00Z';
  isConsistent = true;
  /** Lowest counter that devices may install, by release name; the first release of a line has counter 1. */
  floors: Record<string, number> = {};
  /** Set: who may sign for a role that targets delegate to, and the paths of it. */
  readonly delegated = new Map<string, { paths: string[]; by: PrivateKey; releases: string[] }>();
  readonly #targets = new Map<string, string>();

  constructor() {
    this.signRoot();
    this.signTargets();
  }

  /** The targets signed so far. */
  get paths(): string[] {
    return [...this.#targets.keys()];
  }

  newKey(): PrivateKey {
    return keyPair();
  }

  get fleetKeyPem(): string {
    return derivedPem(this.fleetKey);
  }

  /** Text of the first root: what a factory image holds. */
  get factoryRoot(): string {
    return this.objects.get('root-1')?.toString() ?? '';
  }

  async layer(bytes: number, content = randomBytes(bytes)): Promise<TestLayer> {
    const tree = await verityOf(
      (async function* () {
        yield content;
      })(),
    );
    this.objects.set(blobObject(tree.digest), content);
    this.objects.set(leavesObject(tree.digest), tree.leaves);
    return { verity: tree.digest, size: content.length, content };
  }

  /** A release of one service over these layers, signed into the targets. */
  publish(version: string, layers: TestLayer[], change: Partial<Manifest> = {}): TestRelease {
    const document = { ...testManifest(version, layers), ...change };
    const text = JSON.stringify(document);
    const manifest = sha256Hex(text);
    this.objects.set(manifestObject(manifest), Buffer.from(text));
    this.#targets.set(targetPath(document.name, version), text);
    this.signTargets();
    return { name: document.name, version, manifest, document };
  }

  assign(release: TestRelease, change: Partial<Assignment> = {}): AssignmentEnvelope {
    const { name, version, manifest } = release;
    const issuedAt = Date.now();
    return signAssignment(
      {
        type: 'assignment',
        v: 1,
        device: 'boat-1',
        board: 'generic-amd64',
        generation: 1,
        release: { name, version, manifest },
        issuedAt,
        expiresAt: issuedAt + 3_600_000,
        ...change,
      },
      this.fleetKey,
      this.#keyChanges,
    );
  }

  rotateFleetKey(): void {
    const next = keyPair();
    this.#keyChanges.push(signKeyChange(this.fleetKey, next, Date.now()));
    this.fleetKey = next;
  }

  /** `rootKeys`: who may sign the next root, all of them together. */
  signRoot(by: PrivateKey[] = [this.keys.root], rootKeys: PrivateKey[] = [this.keys.root]): void {
    const root = new Root({
      ...SPEC,
      version: ++this.versions.root,
      expires: this.expires,
      consistentSnapshot: this.isConsistent,
    });
    for (const role of ROLES.slice(1)) root.addKey(tufKeyOf(this.keys[role]), role);
    for (const key of rootKeys) root.addKey(tufKeyOf(key), 'root');
    // The models declare it readonly and offer no other way.
    Object.assign(root.roles['root'] ?? {}, { threshold: rootKeys.length });
    this.#put('root', new Metadata(root), by);
  }

  /** A new key for each of these roles, in a root that the root key in force before and the one after sign. */
  rotate(...roles: RoleName[]): void {
    const before = this.keys.root;
    for (const role of roles) this.keys[role] = keyPair();
    this.signRoot(before === this.keys.root ? [before] : [before, this.keys.root]);
  }

  signTargets(by = this.keys.targets): void {
    const version = ++this.versions.targets;
    const elsewhere = new Set([...this.delegated.values()].flatMap(({ releases }) => releases));
    const paths = [...this.#targets.keys()].filter((path) => !elsewhere.has(path));
    const targets = this.#targetsOf(paths, version);
    // The models declare it readonly and offer no other way.
    if (this.delegated.size > 0) Object.assign(targets, { delegations: this.#delegations() });
    this.#put('targets', new Metadata(targets), [by]);
    for (const [role, { by: key, releases }] of this.delegated) {
      const metadata = new Metadata(this.#targetsOf(releases, version));
      signRole<'targets'>(metadata, key);
      this.objects.set(`delegated-${role}-${version}`, Buffer.from(roleText<'targets'>(metadata)));
    }
    this.signSnapshot(
      undefined,
      Object.fromEntries([...this.delegated.keys()].map((role) => [`${role}.json`, version])),
    );
  }

  #targetsOf(paths: string[], version: number): Targets {
    const isFloored = Object.keys(this.floors).length > 0;
    const unrecognizedFields = isFloored ? { [FLOORS_FIELD]: { ...this.floors } } : undefined;
    const targets = new Targets({
      ...SPEC,
      version,
      expires: this.expires,
      ...(unrecognizedFields && { unrecognizedFields }),
    });
    for (const path of paths) {
      const text = this.#targets.get(path) ?? '';
      const hashes = { sha256: sha256Hex(text) };
      const counter = [...this.#targets.keys()].indexOf(path) + 1;
      targets.addTarget(
        new TargetFile({
          path,
          length: Buffer.byteLength(text),
          hashes,
          unrecognizedFields: { custom: { counter } },
        }),
      );
    }
    return targets;
  }

  #delegations(): NonNullable<Targets['delegations']> {
    const roles = [...this.delegated].map(([name, { paths, by }]) => ({
      name,
      keyids: [tufKeyOf(by).keyID],
      threshold: 1,
      terminating: true,
      paths,
    }));
    const keys = Object.fromEntries(
      [...this.delegated.values()].map(({ by }) => [tufKeyOf(by).keyID, tufKeyOf(by).toJSON()]),
    );
    const { signed } = Metadata.fromJSON(MetadataKind.Targets, {
      signed: {
        _type: 'targets',
        spec_version: '1.0.34',
        version: 1,
        expires: this.expires,
        targets: {},
        delegations: { keys, roles },
      },
      signatures: [],
    });
    if (!signed.delegations) throw new Error('Cannot delegate: the models made no delegations');
    return signed.delegations;
  }

  /** `others`: files named beside targets.json. */
  signSnapshot(by = this.keys.snapshot, others: Record<string, number> = {}): void {
    const content = this.objects.get(`targets-${this.versions.targets}`) ?? Buffer.alloc(0);
    const meta: Record<string, MetaFile> = {
      'targets.json': new MetaFile({
        version: this.versions.targets,
        length: content.length,
        hashes: { sha256: sha256Hex(content) },
      }),
    };
    for (const [file, version] of Object.entries(others)) meta[file] = new MetaFile({ version });
    const snapshot = new Snapshot({
      ...SPEC,
      version: ++this.versions.snapshot,
      expires: this.expires,
      meta,
    });
    this.#put('snapshot', new Metadata(snapshot), [by]);
    this.signTimestamp();
  }

  signTimestamp(by = this.keys.timestamp, version = ++this.versions.timestamp): void {
    const content = this.objects.get(`snapshot-${this.versions.snapshot}`) ?? Buffer.alloc(0);
    const snapshotMeta = new MetaFile({
      version: this.versions.snapshot,
      length: content.length,
      hashes: { sha256: sha256Hex(content) },
    });
    const timestamp = new Timestamp({ ...SPEC, version, expires: this.expires, snapshotMeta });
    this.#put('timestamp', new Metadata(timestamp), [by]);
  }

  /** Serves another object's content as the next version of `role`, named above with its right length and hash. */
  misname(role: 'snapshot' | 'targets', object: string): void {
    const version = ++this.versions[role];
    this.objects.set(`${role}-${version}`, this.objects.get(object) ?? Buffer.alloc(0));
    if (role === 'targets') this.signSnapshot();
    else this.signTimestamp();
  }

  #put<R extends RoleName>(role: R, metadata: SignedRole<R>, by: PrivateKey[]): void {
    for (const key of by) signRole(metadata, key);
    const name = role === 'timestamp' ? role : `${role}-${metadata.signed.version}`;
    this.objects.set(name, Buffer.from(roleText(metadata)));
  }
}

export function testManifest(version: string, layers: Pick<TestLayer, 'verity' | 'size'>[]): Manifest {
  const image = {
    manifestDigest: 'a'.repeat(64),
    layers: layers.map(({ verity, size }) => ({ verity, size, diffId: 'b'.repeat(64) })),
    args: ['/bin/true'],
    environment: {},
    workingDir: '/',
    uid: 1000,
    gid: 1000,
  };
  return {
    v: 1,
    name: 'demo',
    version,
    boards: ['generic-amd64'],
    volumes: {},
    policy: { soakMs: 100 },
    services: {
      web: {
        images: { 'linux/amd64': image },
        resources: { memoryMaxBytes: 16 * 1024 * 1024, cpuMax: 0.1, pidsMax: 10 },
        restart: {
          policy: 'always',
          backoffInitialMs: 100,
          backoffMaxMs: 1000,
          maxAttempts: 3,
          resetAfterMs: 1000,
        },
        stop: { signal: 'SIGTERM', graceMs: 1000 },
        network: 'none',
        security: { readOnlyRoot: true, capabilities: [] },
        mounts: [],
      },
    },
  };
}

const derivedPem = (key: PrivateKey): string =>
  createPublicKey(key.export({ type: 'pkcs8', format: 'pem' })).export({
    type: 'spki',
    format: 'pem',
  }) as string;
