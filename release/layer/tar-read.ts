import type { LayerEntry } from '../core/layer-tree.ts';
import type { ReadContent } from '../erofs/content.ts';
import {
  BLOCK,
  checksumHolds,
  padded,
  parseHeader,
  parseTime,
  type TarHeader,
  untilNul,
  wholeNumber,
} from './tar-header.ts';
import { type PaxRecords, parsePax, xattrsOf } from './tar-pax.ts';
import { contentOf } from './tar-sparse.ts';

/** A path or a pax record set; far above PATH_MAX and any xattr. */
const MAX_EXTENSION_BYTES = 1024 * 1024;
/** More than any image has; each is an object in memory. */
const MAX_ENTRIES = 1_000_000;
/** Names, link targets and xattrs of all entries together. */
const MAX_TEXT_BYTES = 64 * 1024 * 1024;

const TYPES: Record<string, LayerEntry['type']> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'dir',
  '6': 'fifo',
};

/** What extension headers say of the entry after them. */
interface Pending {
  pax: PaxRecords;
  path?: string;
  linkPath?: string;
}

export type TarScan = { ok: true; entries: LayerEntry[] } | { ok: false; fault: string };

/** Every entry of a tar, its content by place. */
export async function scanTar(readAt: ReadContent, size: number): Promise<TarScan> {
  const entries: LayerEntry[] = [];
  let pending = nothing();
  let textBytes = 0;
  for (let offset = 0; ; ) {
    const header = await readAt(offset, BLOCK);
    if (header.length < BLOCK || header.every((byte) => byte === 0)) return { ok: true, entries };
    if (!checksumHolds(header)) return { ok: false, fault: `offset ${offset} holds no tar header` };
    if (entries.length >= MAX_ENTRIES) return { ok: false, fault: `it has more than ${MAX_ENTRIES} entries` };
    offset += BLOCK;
    try {
      const parsed = parseHeader(header);
      if ('xgLK'.includes(parsed.flag)) {
        pending = await extended(pending, parsed, offset, readAt);
        offset += padded(parsed.size);
        continue;
      }
      const { entry, endsAt } = await entryOf(parsed, header, pending, offset, readAt);
      if (endsAt > padded(size)) return { ok: false, fault: `entry "${entry.path}" is cut off` };
      textBytes += textOf(entry);
      if (textBytes > MAX_TEXT_BYTES)
        return { ok: false, fault: `its names and xattrs have more than ${MAX_TEXT_BYTES} bytes` };
      entries.push(entry);
      offset = endsAt;
    } catch (error) {
      if (error instanceof RangeError)
        return { ok: false, fault: `the entry before offset ${offset}: ${error.message}` };
      throw error;
    }
    pending = nothing();
  }
}

const textOf = ({ path, linkPath, target, xattrs }: LayerEntry): number =>
  [...xattrs].reduce(
    (sum, [name, value]) => sum + name.length + value.length,
    path.length + linkPath.length + target.length,
  );

async function extended(
  pending: Pending,
  { flag, size }: TarHeader,
  at: number,
  readAt: ReadContent,
): Promise<Pending> {
  if (size > MAX_EXTENSION_BYTES) throw new RangeError(`an extension header has ${size} bytes`);
  const data = (await readAt(at, size)).toString('latin1');
  if (flag === 'L') return { ...pending, path: untilNul(data) };
  if (flag === 'K') return { ...pending, linkPath: untilNul(data) };
  // A global header ("g") is a comment to all that apply OCI layers.
  if (flag === 'g') return pending;
  const result = parsePax(data);
  if (!result.ok) throw new RangeError(result.fault);
  return { ...pending, pax: result.records };
}

async function entryOf(
  header: TarHeader,
  block: Buffer,
  { pax, ...long }: Pending,
  at: number,
  readAt: ReadContent,
): Promise<{ entry: LayerEntry; endsAt: number }> {
  // The path of a sparse file is a made-up one; its own name stands in the GNU record.
  const said = (key: string): string | undefined => pax.values.get(key) || undefined;
  const path = said('GNU.sparse.name') ?? said('path') ?? long.path ?? header.path;
  const link = said('linkpath') ?? long.linkPath ?? header.linkPath;
  const known = TYPES[header.flag];
  if (!known) throw new RangeError(`"${path}" is of unknown type "${header.flag}"`);
  // Before ustar a folder was a file whose name ends in a slash.
  const type = known === 'file' && path.endsWith('/') ? 'dir' : known;
  const numberOf = (key: string, otherwise: number): number => {
    const text = said(key);
    if (text === undefined) return otherwise;
    if (!/^[0-9]{1,19}$/.test(text)) throw new RangeError(`${key} "${text}" is no number`);
    return wholeNumber(BigInt(text));
  };
  const stored = numberOf('size', header.size);
  // Only files carry data, whatever the size field of a link or device says.
  const { content, endsAt } =
    type === 'file'
      ? await contentOf({ flag: header.flag, header: block, pax, at, stored }, readAt)
      : { content: { sizeBytes: 0, extents: [] }, endsAt: at };
  return {
    entry: {
      path: plain(path),
      type,
      // Linux gives every link this mode, whatever a tar says.
      mode: type === 'symlink' ? 0o777 : header.mode,
      uid: numberOf('uid', header.uid),
      gid: numberOf('gid', header.gid),
      mtime: parseTime(said('mtime') ?? '') ?? header.mtime,
      xattrs: new Map([...xattrsOf(pax)].map(([name, value]) => [own(name), own(value)])),
      linkPath: type === 'hardlink' ? plain(link) : '',
      target: type === 'symlink' ? own(link) : '',
      device: type === 'char' || type === 'block' ? header.device : { major: 0, minor: 0 },
      content,
    },
    endsAt,
  };
}

const nothing = (): Pending => ({ pax: { values: new Map(), sparse: [] } });

/** A copy: a part of a text keeps all of it in memory, and a header may be far longer than what is kept of it. */
const own = (text: string): string => Buffer.from(text, 'latin1').toString('latin1');

/** "./a//b/" → "a/b"; a leading "/" stays, so that it can be refused. */
const plain = (path: string): string =>
  own(
    (path.startsWith('/') ? '/' : '') +
      path
        .split('/')
        .filter((part) => part !== '' && part !== '.')
        .join('/'),
  );
