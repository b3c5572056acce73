/**
 * The canonical JSON that TUF signs and hashes (OLPC's): sorted keys, no white space, whole numbers only, and strings
 * in which `\` and `"` alone are escaped. protocol/canonical.ts differs: it escapes as JSON does, so a PEM key has
 * another text there. TUF 1.0.34 §4.1.
 */
export function tufCanonical(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (value === null || typeof value === 'boolean' || Number.isSafeInteger(value)) return String(value);
  if (Array.isArray(value)) return `[${value.map(tufCanonical).join(',')}]`;
  if (typeof value !== 'object')
    throw new TypeError(`${String(value)} has no canonical form; wanted a whole number or text`);
  const members = Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, inner]) => `${quoted(key)}:${tufCanonical(inner)}`);
  return `{${members.join(',')}}`;
}

const quoted = (text: string): string => `"${text.replace(/[\\"]/g, '\\$&')}"`;
