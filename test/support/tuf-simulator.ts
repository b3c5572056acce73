import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Key } from '@tufjs/models';
import { tufCanonical } from '../../protocol/tuf-canonical.ts';
import { signatureOf, tufKeyOf } from '../../protocol/tuf-keys.ts';

const TOP_LEVEL = ['root', 'timestamp', 'snapshot', 'targets'] as const;
const DAY_MS = 86_400_000;

export interface MetaEntry {
  version: number;
  length?: number;
  hashes?: Record<string, string>;
}
interface RoleKeys {
  keyids: string[];
  threshold: number;
  [unknown: string]: unknown;
}
export interface Delegation extends RoleKeys {
  name: string;
  terminating: boolean;
  paths?: string[];
  path_hash_prefixes?: string[];
}
/** The signed part of any role, as plain JSON, so that a test can put anything into it. */
export interface Signed {
  _type: string;
  spec_version: string;
  version: number;
  expires: string;
  consistent_snapshot?: boolean;
  keys: Record<string, object>;
  roles: Record<string, RoleKeys>;
  meta: Record<string, MetaEntry>;
  targets: Record<string, { length: number; hashes: Record<string, string>; custom?: object }>;
  delegations?: { keys: Record<string, object>; roles: Delegation[] };
  [unknown: string]: unknown;
}

export interface Signer {
  key: KeyObject;
  public: Key;
}

export const newSigner = (kind: 'ed25519' | 'ecdsa' | 'rsa' = 'ed25519'): Signer => {
  const { privateKey: key } =
    kind === 'ed25519'
      ? generateKeyPairSync('ed25519')
      : kind === 'ecdsa'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { key, public: tufKeyOf(key) };
};

export const isoDate = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
const sha256 = (data: Buffer | string): string => createHash('sha256').update(data).digest('hex');

/**
 * A TUF repository in memory, over real HTTP. Roles are plain JSON in `signed`: change them, then `publish`. Every
 * published version stays; `served` may be changed too.
 */
export class TufSimulator {
  readonly signed: Record<string, Signed> = {};
  readonly signers: Record<string, Map<string, Signer>> = {};
  /** Published texts, by role; version n of a role is at n - 1. */
  readonly served: Record<string, string[]> = {};
  readonly artifacts: Record<string, Buffer> = {};
  /** What was asked for: `1.snapshot`, `timestamp`, as in the URL. */
  readonly metadataRequests: string[] = [];
  readonly targetRequests: string[] = [];
  hasMetaHashes = false;
  readonly #expires: string;
  #server: Server | undefined;

  constructor(now = Date.now()) {
    this.#expires = isoDate(now + 30 * DAY_MS);
    for (const role of TOP_LEVEL) this.signed[role] = this.#blank(role);
    for (const role of TOP_LEVEL) this.addKey(role);
    this.publish('targets', 'snapshot', 'timestamp', 'root');
  }

  role(name: string): Signed {
    const signed = this.signed[name];
    if (!signed) throw new Error(`Cannot change ${name}: no such role`);
    return signed;
  }

  /** Lets a new key, or this one, sign for a role that root or `delegator` names. */
  addKey(role: string, signer: Signer = newSigner(), delegator = 'root'): Signer {
    const { keys, roles, delegations } = this.role(delegator);
    const named = delegator === 'root' ? roles[role] : delegations?.roles.find(({ name }) => name === role);
    (delegations?.keys ?? keys)[signer.public.keyID] = signer.public.toJSON();
    if (!named?.keyids.includes(signer.public.keyID)) named?.keyids.push(signer.public.keyID);
    this.addSigner(role, signer);
    return signer;
  }

  addSigner(role: string, signer: Signer): void {
    (this.signers[role] ??= new Map()).set(signer.public.keyID, signer);
  }

  dropKeys(role: string): void {
    const named = this.role('root').roles[role];
    if (named) named.keyids = [];
    this.signers[role] = new Map();
  }

  rotate(role: string): void {
    const threshold = this.role('root').roles[role]?.threshold ?? 1;
    this.dropKeys(role);
    for (let count = 0; count < threshold; count++) this.addKey(role);
  }

  delegate(delegator: string, name: string, change: Partial<Delegation> = {}): void {
    const from = this.role(delegator);
    from.delegations ??= { keys: {}, roles: [] };
    const paths = change.path_hash_prefixes ? {} : { paths: ['*'] };
    const role = { name, keyids: [], threshold: 1, terminating: false, ...paths, ...change };
    if (role.paths === null) delete role.paths;
    from.delegations.roles.push(role);
    this.signed[name] ??= { ...this.#blank('targets') };
    const known = [...(this.signers[name]?.values() ?? [])][0];
    this.addKey(name, known, delegator);
  }

  addTarget(role: string, path: string, content: string, algorithms: string[] = ['sha256']): void {
    const data = Buffer.from(content);
    this.artifacts[path] = data;
    const hashes = algorithms.map((name) => [name, createHash(name).update(data).digest('hex')]);
    this.role(role).targets[path] = { length: data.length, hashes: Object.fromEntries(hashes) };
  }

  /** Signs the next version of each role, in this order, and names it in snapshot or timestamp. */
  publish(...roles: string[]): void {
    for (const role of roles) {
      const signed = this.role(role);
      const served = (this.served[role] ??= []);
      if (served.length > 0) signed.version += 1;
      served.push(this.sign(role));
      this.#nameAbove(role);
    }
  }

  /** The role's text with the signatures of all its signers. */
  sign(role: string): string {
    const signed = this.role(role);
    const bytes = Buffer.from(tufCanonical(signed));
    const signatures = [...(this.signers[role]?.values() ?? [])].map(({ key, public: { keyID } }) => ({
      keyid: keyID,
      sig: signatureOf(key, bytes),
    }));
    return JSON.stringify({ signatures, signed });
  }

  /** Publishes again from version `version` on, as if the ones before had never been. */
  restart(role: string, version = 1): void {
    this.served[role] = [];
    this.role(role).version = version;
  }

  /** Changes the newest served text of a role. */
  amend(role: string, change: (document: { signatures: { keyid: string; sig: string }[] }) => void): void {
    const document = JSON.parse(this.served[role]?.pop() ?? '{}');
    change(document);
    this.served[role]?.push(JSON.stringify(document));
  }

  async listen(): Promise<string> {
    const server = createServer((request, response) => {
      const content = this.#serve(request.url ?? '');
      response.writeHead(content === undefined ? 404 : 200).end(content);
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => this.#server?.close(resolve));
  }

  #serve(url: string): Buffer | string | undefined {
    const isConsistent = this.role('root').consistent_snapshot === true;
    const metadata = /^\/metadata\/(.+)\.json$/.exec(url)?.[1];
    if (metadata !== undefined) {
      this.metadataRequests.push(metadata);
      const [, version, quoted] = /^(?:(\d+)\.)?(.+)$/.exec(metadata) ?? [];
      const role = decodeURIComponent(quoted ?? '');
      const isVersioned = role === 'root' || (isConsistent && role !== 'timestamp');
      if (isVersioned !== (version !== undefined)) return undefined;
      return version === undefined ? this.served[role]?.at(-1) : this.served[role]?.[Number(version) - 1];
    }
    const target = /^\/targets\/(.+)$/.exec(url)?.[1];
    if (target === undefined) return undefined;
    this.targetRequests.push(target);
    const [, folder = '', hash, name] = /^(.*\/)?(?:([0-9a-f]{64,128})\.)?([^/]+)$/.exec(target) ?? [];
    return isConsistent === (hash !== undefined)
      ? this.artifacts[`${folder}${decodeURIComponent(name ?? '')}`]
      : undefined;
  }

  #blank(type: string): Signed {
    const common = { _type: type, spec_version: '1.0.34', version: 1, expires: this.#expires };
    const own = {
      root: {
        consistent_snapshot: true,
        keys: {},
        roles: Object.fromEntries(TOP_LEVEL.map((role) => [role, { keyids: [], threshold: 1 }])),
      },
      timestamp: { meta: { 'snapshot.json': { version: 1 } } },
      snapshot: { meta: { 'targets.json': { version: 1 } } },
      targets: { targets: {} },
    }[type];
    return { ...common, ...own } as Signed;
  }

  #nameAbove(role: string): void {
    if (role === 'root' || role === 'timestamp') return;
    const text = this.served[role]?.at(-1) ?? '';
    const facts = this.hasMetaHashes
      ? { length: Buffer.byteLength(text), hashes: { sha256: sha256(text) } }
      : {};
    const above = this.role(role === 'snapshot' ? 'timestamp' : 'snapshot');
    above.meta[`${role}.json`] = { version: this.role(role).version, ...facts };
  }
}
