/** pax extended header records (POSIX.1-2017 pax, "pax Extended Header") and GNU's sparse keys. Bytes as latin1. */
export interface PaxRecords {
  values: Map<string, string>;
  /** GNU.sparse 0.0 repeats its keys: offsets and lengths in turn. */
  sparse: number[];
}

export type PaxResult = { ok: true; records: PaxRecords } | { ok: false; fault: string };

/** "<length> <key>=<value>\n", where the length counts its own digits. */
export function parsePax(data: string): PaxResult {
  const values = new Map<string, string>();
  const sparse: number[] = [];
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(' ', at);
    const digits = data.slice(at, space);
    const length = Number(digits);
    const record = at + length > data.length ? '' : data.slice(space + 1, at + length);
    const equals = record.indexOf('=');
    if (space < 0 || !/^[0-9]{1,10}$/.test(digits) || equals < 1 || !record.endsWith('\n'))
      return { ok: false, fault: 'an extension header is no list of pax records' };
    const [key, value] = [record.slice(0, equals), record.slice(equals + 1, -1)];
    if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') sparse.push(Number(value));
    else values.set(key, value);
    at += length;
  }
  return { ok: true, records: { values, sparse } };
}

const XATTR = 'SCHILY.xattr.';
/** GNU tar's way to put into a key what would end it. */
const DECODED: Record<string, string> = { '%25': '%', '%3D': '=' };

export const xattrsOf = ({ values }: PaxRecords): Map<string, string> =>
  new Map(
    [...values].flatMap(([key, value]) =>
      key.startsWith(XATTR)
        ? [[key.slice(XATTR.length).replace(/%(25|3D)/g, (code) => DECODED[code] ?? code), value]]
        : [],
    ),
  );

/** Offsets and lengths in turn of a 0.0 or 0.1 sparse file; undefined for any other. */
export function sparseMapOf({ values, sparse }: PaxRecords): number[] | undefined {
  const map = values.get('GNU.sparse.map');
  if (map !== undefined) return map === '' ? [] : map.split(',').map(Number);
  return sparse.length > 0 || values.has('GNU.sparse.numblocks') ? sparse : undefined;
}
