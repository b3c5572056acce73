import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseRole, type RoleName, roleText, signRole, TufError, verifyRole } from './tuf.ts';
import { tufKeyOf } from './tuf-keys.ts';

/** Whatever stands in metadata, reading and verifying it end in a value or a TufError, and nothing changed passes. */
const KEY = generateKeyPairSync('ed25519').privateKey;
const PUBLIC = tufKeyOf(KEY);
const NAMED = { keyids: [PUBLIC.keyID], threshold: 1 };
const COMMON = { spec_version: '1.0.34', version: 1, expires: '2099-01-01T00:00:00Z' };
const META = { version: 1, length: 3, hashes: { sha256: 'ab'.repeat(32) } };
const DOCUMENTS: Record<RoleName, object> = {
  root: {
    _type: 'root',
    ...COMMON,
    consistent_snapshot: true,
    keys: { [PUBLIC.keyID]: PUBLIC.toJSON() },
    roles: { root: NAMED, targets: NAMED, snapshot: NAMED, timestamp: NAMED },
  },
  timestamp: { _type: 'timestamp', ...COMMON, meta: { 'snapshot.json': META } },
  snapshot: { _type: 'snapshot', ...COMMON, meta: { 'targets.json': META, 'team.json': META } },
  targets: {
    _type: 'targets',
    ...COMMON,
    targets: { 'a/b': { length: 3, hashes: { sha256: 'cd'.repeat(32) }, custom: { counter: 1 } } },
    delegations: {
      keys: { [PUBLIC.keyID]: PUBLIC.toJSON() },
      roles: [{ name: 'team', ...NAMED, terminating: false, paths: ['a/*'] }],
    },
  },
};
const ROLES = Object.keys(DOCUMENTS) as RoleName[];

const signed = (role: RoleName): string => {
  const metadata = parseRole(role, JSON.stringify({ signatures: [], signed: DOCUMENTS[role] }));
  signRole(metadata, KEY);
  return roleText(metadata);
};
const TEXTS = Object.fromEntries(ROLES.map((role) => [role, signed(role)])) as Record<RoleName, string>;
const ROOT = parseRole('root', TEXTS.root);

/** Paths to every value of a document. */
function pathsOf(value: unknown, path: string[] = []): string[][] {
  const inner = value !== null && typeof value === 'object' ? Object.entries(value) : [];
  return [path, ...inner.flatMap(([key, next]) => pathsOf(next, [...path, key]))];
}
function replaced(document: unknown, [key, ...rest]: string[], by: unknown): unknown {
  if (key === undefined) return by;
  const copy = (Array.isArray(document) ? [...document] : { ...(document as object) }) as Record<
    string,
    unknown
  >;
  copy[key] = replaced(copy[key], rest, by);
  return copy;
}

const HOSTILE = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom<unknown>(
    1.5,
    -1,
    0,
    2 ** 53,
    1e300,
    '',
    '__proto__',
    'constructor',
    '\u0000',
    '../x',
    null,
    [],
  ),
  fc.constant(JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}')),
);

test.each(ROLES)('%s with anything anywhere is refused or is what was signed', (role) => {
  const document = JSON.parse(TEXTS[role]);
  const paths = pathsOf(document);
  fc.assert(
    fc.property(fc.constantFrom(...paths), HOSTILE, (path, value) => {
      const text = JSON.stringify(replaced(document, path, value));
      try {
        const metadata = parseRole(role, text);
        verifyRole(ROOT, role, metadata);
        // Only what no signature covers may differ.
        expect(JSON.parse(text).signed).toEqual(document.signed);
      } catch (error) {
        if (!(error instanceof TufError)) throw error;
      }
    }),
    { numRuns: 2_000 },
  );
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
});

test.each(ROLES)('%s of bytes that are no metadata is refused', (role) => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.string().map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        expect(() => parseRole(role, bytes)).toThrow(TufError);
      },
    ),
  );
});

test.each([
  '[',
  '{"signed":',
  '{"signatures":[],"signed":',
])('nesting without end (%s …) is refused', (opening) => {
  const depth = Math.floor(1_000_000 / opening.length);
  expect(() => parseRole('targets', opening.repeat(depth))).toThrow(TufError);
  const closed = `{"signatures":[],"signed":{"_type":"targets","spec_version":"1.0.34","version":1,"expires":"2099-01-01T00:00:00Z","targets":{},"x":${'['.repeat(200_000)}${']'.repeat(200_000)}}}`;
  expect(() => parseRole('targets', closed)).toThrow(TufError);
});
