/** Takes secrets out of text. What is known is taken out in each of its spellings, the rest by its shape. */

/** A spelling of a secret of this device: the content itself, or encoded. */
export interface Needle {
  /** What stands in its place. */
  name: string;
  text: string;
  /** Too short to be taken out of the middle of a word. */
  isWord: boolean;
}

export type Redact = (text: string) => string;

const MARK = '[redacted]';

/** Longest first, so that no spelling leaves the rest of a longer one behind. */
export function redactor(needles: readonly Needle[]): Redact {
  const sorted = needles.toSorted((a, b) => b.text.length - a.text.length);
  return (text) => SHAPES.reduce((rest, shape) => shape(rest), sorted.reduce(without, text));
}

function without(text: string, { name, text: wanted, isWord }: Needle): string {
  if (!text.includes(wanted)) return text;
  const mark = `[redacted: ${name}]`;
  if (!isWord) return text.replaceAll(wanted, mark);
  return text.replace(new RegExp(`(?<![A-Za-z0-9])${escaped(wanted)}(?![A-Za-z0-9])`, 'g'), mark);
}

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

/**
 * Names of fields, variables and options whose value is nobody's business; what stands before is kept anyway. All that
 * repeats is bounded: a service chooses what is in its log, and must not choose how long this takes.
 */
const NAME =
  String.raw`(?:passw(?:or)?d|passphrase|passwort|secret|token|api[_-]?key|private[_-]?key|access[_-]?key|` +
  String.raw`auth[_-]?key|encryption[_-]?key|credential|\bpwd|_pwd|\bpsk|\bpin|cookie|session[_-]?id)[\w.-]{0,64}`;
const EQUALS = String.raw`[ \t]{0,8}(?:[:=]|=>)[ \t]{0,8}`;
const KEPT_VALUE = /^(?:true|false|null|undefined|none|\[redacted.*)$/i;

const replace =
  (pattern: RegExp, by: string | ((...parts: string[]) => string)): Redact =>
  (text) =>
    text.replace(pattern, by as string);

const valueOf = (lead: string, value: string): string =>
  KEPT_VALUE.test(value) ? lead + value : lead + MARK;

const KEY = String.raw`[A-Z0-9 ]{0,20}PRIVATE KEY(?: BLOCK)?-----`;
const KEY_END = new RegExp(`-----END ${KEY}`);
const KEY_LINE = /[A-Za-z0-9+/=]{40}/;

/** A private key whose beginning is cut off: its end, and what looks like base64 above it. */
function withoutKeyEnds(text: string): string {
  if (!KEY_END.test(text)) return text;
  const lines = text.split('\n');
  for (const [index, line] of lines.entries()) {
    if (!KEY_END.test(line)) continue;
    for (let at = index - 1; at >= 0 && KEY_LINE.test(lines[at] ?? ''); at--) lines[at] = MARK;
    // The last line of a key is shorter than the others.
    if (index > 0 && /[A-Za-z0-9+/]{4,}={0,2}\s*$/.test(lines[index - 1] ?? '')) {
      lines[index - 1] = MARK;
      for (let at = index - 2; at >= 0 && KEY_LINE.test(lines[at] ?? ''); at--) lines[at] = MARK;
    }
    lines[index] = `${MARK} private key`;
  }
  return lines.join('\n');
}

/** Each is safe to run over what another has left. More is taken out rather than less. */
const SHAPES: Redact[] = [
  // A key whose end is cut off is one to the end of the text.
  replace(
    new RegExp(String.raw`-----BEGIN ${KEY}[\s\S]*?(?:-----END ${KEY}|$(?![\s\S]))`, 'g'),
    `${MARK} private key`,
  ),
  withoutKeyEnds,
  // RFC 9110 §11.6.2; digest has fields in quotes.
  replace(/\b(authorization[ \t]{0,8}[:=][ \t]{0,8}digest[ \t])[^\r\n]+/gi, `$1${MARK}`),
  replace(
    /\b((?:proxy-)?authorization\\{0,4}["']?[ \t]{0,8}[:=][ \t]{0,8}\\{0,4}["']?)(?!\[redacted)[^"'\\\r\n]+/gi,
    `$1${MARK}`,
  ),
  replace(/\b(bearer[ \t]{1,4})(?!\[redacted)[A-Za-z0-9._~+/=-]{8,}/gi, `$1${MARK}`),
  replace(/\b(Basic[ \t]{1,4})[A-Za-z0-9+/]{8,}={0,2}/g, `$1${MARK}`),
  replace(
    /\b((?:set-)?cookie\\{0,4}["']?[ \t]{0,8}:[ \t]{0,8}\\{0,4}["']?)(?!\[redacted)[^"'\\\r\n]+/gi,
    `$1${MARK}`,
  ),
  // user:password@, or a token alone. RFC 3986 §3.2.1.
  replace(
    /\b([a-z][a-z0-9+.-]{0,20}:\/\/)([^\s/"'<>@:]{0,256})(:?)[^\s/"'<>]{0,1024}@/gi,
    (_all, scheme = '', user = '', colon = '') => (colon ? `${scheme}${user}:${MARK}@` : `${scheme}${MARK}@`),
  ),
  // The token of a join string is its "t".
  replace(/([?&;#](?:t|sig|signature|key|code|auth)=)(?!\[redacted)[^&\s"'#\\]+/gi, `$1${MARK}`),
  replace(
    new RegExp(String.raw`(${NAME}\\{0,4}["']?${EQUALS}\\{0,4})(["'])((?:\\.|(?!\2)[^\\\n])*)`, 'gi'),
    (_all, lead = '', quote = '', value = '') => valueOf(lead + quote, value),
  ),
  replace(
    new RegExp(String.raw`(${NAME}${EQUALS})(?!\[redacted)([^\s"'\\,;&{}[\]]+)`, 'gi'),
    (_all, lead = '', value = '') => valueOf(lead, value),
  ),
  // Arguments: --password x, and as a list of JSON.
  replace(
    new RegExp(String.raw`(--?[\w-]{0,40}?${NAME}[ \t]{1,4}["']?)(?!\[redacted|-)([^\s"',]+)`, 'gi'),
    (_all, lead = '', value = '') => valueOf(lead, value),
  ),
  replace(new RegExp(String.raw`("--?[\w-]{0,40}?${NAME}"\s{0,40},\s{0,40}")([^"\n]+)`, 'gi'), `$1${MARK}`),
  replace(
    /\b([A-Z][A-Z0-9_]{0,64}_KEY["']?[ \t]{0,4}[:=][ \t]{0,4}["']?)(?!\[redacted)[^\s"',}]+/g,
    `$1${MARK}`,
  ),
  // Tokens that are known by how they begin; password hashes of crypt(5).
  replace(/\beyJ[\w-]{5,4096}\.[\w-]{5,8192}\.[\w-]{0,1024}/g, MARK),
  replace(/\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g, MARK),
  replace(/\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk_live_|sk_test_|sk-|AIza)[\w-]{10,}/g, MARK),
  replace(/\bAGE-SECRET-KEY-1[0-9A-Z]+/g, MARK),
  replace(/\$(?:1|2[aby]|5|6|7|y|argon2\w{0,3})\$[^\s:"']{8,}/g, MARK),
];
