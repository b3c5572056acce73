import type { Needle } from '../core/redact.ts';

/** Shorter than this a content cannot be told from ordinary text. */
export const SHORTEST = 4;
/** From here on it is taken out wherever it stands, also in the middle of a word. */
const ANYWHERE = 8;
const ENCODED_SHORTEST = 8;

/** Spellings under which a secret may stand in a log: as it is, line by line, its fields, escaped and encoded. */
export function secretForms(name: string, content: Uint8Array): Needle[] {
  const bytes = Buffer.from(content);
  const texts = new Set(variantsOf(bytes.toString('utf8')));
  const plain = [...texts].flatMap((text) => [text, ...escapedForms(text)]);
  const encoded = [...[...texts].map((text) => Buffer.from(text)), bytes].flatMap(encodedForms);
  const needles = [
    ...plain.filter((text) => text.length >= SHORTEST),
    ...encoded.filter((text) => text.length >= ENCODED_SHORTEST),
  ];
  return [...new Set(needles)].map((text) => ({ name, text, isWord: text.length < ANYWHERE }));
}

function variantsOf(text: string): string[] {
  const trimmed = text.trim();
  const lines = trimmed.split(/\r?\n/).map((line) => line.trim());
  const own =
    lines.length > 1 ? lines.filter((line) => line.length >= ANYWHERE && !line.startsWith('-----')) : [];
  return [text, trimmed, ...own, ...fieldsOf(trimmed, lines)].filter((one) => one.length >= SHORTEST);
}

/** Values of a JSON document, or of "name=value" and "name: value" lines. */
function fieldsOf(text: string, lines: string[]): string[] {
  const found: string[] = [];
  const walk = (value: unknown): void => {
    if (typeof value === 'string') found.push(value);
    else if (typeof value === 'object' && value !== null)
      for (const inner of Object.values(value)) walk(inner);
  };
  try {
    walk(JSON.parse(text));
  } catch {
    for (const line of lines) {
      const value = /^[\w.-]+\s*[=:]\s*["']?([^"']+)["']?$/.exec(line)?.[1];
      if (value !== undefined) found.push(value.trim());
    }
  }
  return found.filter((value) => value.length >= ANYWHERE);
}

function escapedForms(text: string): string[] {
  const once = JSON.stringify(text).slice(1, -1);
  const url = encodeURIComponent(text);
  return [
    once,
    JSON.stringify(once).slice(1, -1),
    url,
    url.replaceAll('%20', '+'),
    url.replaceAll(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    url.replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`),
  ];
}

/**
 * Base64 in both alphabets, also where it begins in the middle of something longer: at each of the three phases, without
 * the characters that its neighbours have a part in. Hexadecimal in both cases, with and without colons.
 */
function encodedForms(bytes: Buffer): string[] {
  const hex = bytes.toString('hex');
  const pairs = hex.match(/../g)?.join(':') ?? '';
  const base64 = [0, 1, 2].flatMap((phase) => {
    const text = Buffer.concat([Buffer.alloc(phase), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const start = Math.ceil((phase * 8) / 6);
    const end = Math.floor(((phase + bytes.length) * 8) / 6);
    const own = text.slice(start, end);
    return [own, own.replaceAll('+', '-').replaceAll('/', '_')];
  });
  return [...base64, hex, hex.toUpperCase(), pairs, pairs.toUpperCase()];
}
