import type { Content, Extent } from '../core/layer-node.ts';
import type { ReadContent } from '../erofs/content.ts';
import { BLOCK, octalAt, padded } from './tar-header.ts';
import { type PaxRecords, sparseMapOf } from './tar-pax.ts';

/** A map this long is a bomb. GNU tar "Storing Sparse Files". */
const MAX_EXTENTS = 65_536;

/** Where a file's bytes stand. `at`, `stored`: the entry's data in the archive. Throws RangeError for a map that is none. */
export async function contentOf(
  entry: { flag: string; header: Buffer; pax: PaxRecords; at: number; stored: number },
  readAt: ReadContent,
): Promise<{ content: Content; endsAt: number }> {
  const { flag, header, pax, at, stored } = entry;
  if (flag === 'S') {
    const { map, bytes } = await oldMap(header, at, readAt);
    return {
      content: spread(map, octalAt(header, 483, 12), at + bytes, stored),
      endsAt: at + bytes + padded(stored),
    };
  }
  const size = pax.values.get('GNU.sparse.realsize') ?? pax.values.get('GNU.sparse.size');
  const endsAt = at + padded(stored);
  if (size === undefined) return { content: spread([0, stored], stored, at, stored), endsAt };
  if (pax.values.get('GNU.sparse.major') !== '1')
    return { content: spread(sparseMapOf(pax) ?? [0, stored], Number(size), at, stored), endsAt };
  const { map, bytes } = await newMap(at, stored, readAt);
  return { content: spread(map, Number(size), at + bytes, stored - bytes), endsAt };
}

/** Old GNU: four pairs in the header, then blocks of 21 while the flag at 482 (then 504) is set. */
async function oldMap(
  header: Buffer,
  at: number,
  readAt: ReadContent,
): Promise<{ map: number[]; bytes: number }> {
  const map = pairs(header, 386, 4);
  let bytes = 0;
  for (let more = header[482]; more; bytes += BLOCK) {
    const block = await readAt(at + bytes, BLOCK);
    if (block.length < BLOCK || map.length > 2 * MAX_EXTENTS)
      throw new RangeError('its map of holes has no end');
    map.push(...pairs(block, 0, 21));
    more = block[504];
  }
  return { map, bytes };
}

const pairs = (block: Buffer, at: number, count: number): number[] =>
  Array.from({ length: 2 * count }, (_, index) => at + 12 * index)
    .filter((offset) => block[offset - ((offset - at) % 24)] !== 0)
    .map((offset) => octalAt(block, offset, 12));

/** GNU.sparse 1.0: before the data, numbers one a line: how many pairs, then the pairs; padded to a block. */
async function newMap(
  at: number,
  stored: number,
  readAt: ReadContent,
): Promise<{ map: number[]; bytes: number }> {
  const numbers: number[] = [];
  let bytes = 0;
  let rest = '';
  let wanted = 1;
  while (numbers.length < wanted) {
    if (bytes >= stored || rest.length > BLOCK) throw new RangeError('its map of holes has no end');
    const lines = (rest + (await readAt(at + bytes, BLOCK)).toString('latin1').padEnd(BLOCK, '\0')).split(
      '\n',
    );
    bytes += BLOCK;
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (numbers.length >= wanted) break;
      numbers.push(Number(line));
      wanted = 1 + 2 * (numbers[0] ?? 0);
    }
    if (!(wanted <= 1 + 2 * MAX_EXTENTS)) throw new RangeError('its map of holes is too long');
  }
  return { map: numbers.slice(1), bytes };
}

function spread(map: readonly number[], sizeBytes: number, at: number, stored: number): Content {
  const extents: Extent[] = [];
  let taken = 0;
  let end = 0;
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || map.length > 2 * MAX_EXTENTS)
    throw new RangeError('its map of holes is none');
  for (let index = 0; index < map.length; index += 2) {
    const [offset = -1, bytes = -1] = [map[index], map[index + 1]];
    if (!(offset >= end && bytes >= 0 && offset + bytes <= sizeBytes))
      throw new RangeError('its map of holes is none');
    if (bytes > 0) extents.push({ offset, bytes, at: at + taken });
    taken += bytes;
    end = offset + bytes;
  }
  if (taken > stored) throw new RangeError('its map names more bytes than it has');
  return { sizeBytes, extents };
}
