import fc from 'fast-check';

/** JSON values that parsers and checks are known to stumble over. */
const AWKWARD: unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e308,
  Number.MAX_SAFE_INTEGER,
  2 ** 53,
  '',
  '\0',
  '..',
  '../../etc/passwd',
  '/etc/passwd',
  '__proto__',
  'x'.repeat(5_000),
  '\ud800',
  '9'.repeat(400),
  '2020-13-45T99:99:99Z',
  [],
  {},
  [[[[[[]]]]]],
  { __proto__: null, constructor: 1 },
  Array.from({ length: 2_000 }, () => 0),
];

interface Place {
  /** Where among the places of the document, as a share of them. */
  at: number;
  how: 'replace' | 'remove' | 'add' | 'twice';
  value: unknown;
}

/** Changes to make to a JSON document, one after the other. */
export const changes: fc.Arbitrary<Place[]> = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    how: fc.constantFrom('replace' as const, 'remove' as const, 'add' as const, 'twice' as const),
    value: fc.oneof(fc.constantFrom(...AWKWARD), fc.jsonValue({ maxDepth: 3 })),
  }),
  { minLength: 1, maxLength: 4 },
);

type Holder = Record<string, unknown>;

/** A changed copy. */
export function changed(document: unknown, places: readonly Place[]): unknown {
  const root: Holder = { document: structuredClone(document) };
  for (const { at, how, value } of places) {
    const spots = spotsOf(root);
    const spot = spots[Math.floor(at * spots.length)];
    if (spot) change(spot.holder, spot.key, how, structuredClone(value));
  }
  return root['document'];
}

function change(holder: Holder, key: string, how: Place['how'], value: unknown): void {
  const inner = holder[key];
  if (how === 'remove') delete holder[key];
  else if (how === 'add' && typeof inner === 'object' && inner !== null)
    (inner as Holder)[typeof value === 'string' ? value : 'more'] = value;
  else if (how === 'twice' && Array.isArray(inner)) inner.push(...structuredClone(inner));
  else holder[key] = value;
}

function spotsOf(holder: Holder): { holder: Holder; key: string }[] {
  return Object.keys(holder).flatMap((key) => {
    const inner = holder[key];
    const below = typeof inner === 'object' && inner !== null ? spotsOf(inner as Holder) : [];
    return [{ holder, key }, ...below];
  });
}

interface Cut {
  at: number;
  how: 'flip' | 'cut' | 'insert' | 'drop' | 'zero' | 'ones';
  bytes: number;
}

/** Changes to make to bytes. */
export const spoilings: fc.Arbitrary<Cut[]> = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    how: fc.constantFrom(
      'flip' as const,
      'cut' as const,
      'insert' as const,
      'drop' as const,
      'zero' as const,
      'ones' as const,
    ),
    bytes: fc.integer({ min: 1, max: 16 }),
  }),
  { minLength: 1, maxLength: 6 },
);

/** A spoilt copy. */
export function spoilt(content: Buffer, cuts: readonly Cut[]): Buffer {
  let result = Buffer.from(content);
  for (const { at, how, bytes } of cuts) {
    const place = Math.floor(at * result.length);
    const [before, behind] = [result.subarray(0, place), result.subarray(place)];
    if (how === 'cut') result = Buffer.from(before);
    else if (how === 'insert') result = Buffer.concat([before, Buffer.alloc(bytes, 0xa5), behind]);
    else if (how === 'drop') result = Buffer.concat([before, behind.subarray(bytes)]);
    else if (how === 'flip') result[place] = (result[place] ?? 0) ^ (1 << (bytes % 8));
    else result.fill(how === 'zero' ? 0 : 0xff, place, Math.min(place + bytes, result.length));
  }
  return result;
}
