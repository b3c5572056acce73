import { sha256Hex } from './canonical.ts';

/** What of a delegated role says which target paths it may name. */
export interface DelegatedPaths {
  paths?: readonly string[] | undefined;
  pathHashPrefixes?: readonly string[] | undefined;
}

/** Whether a role may name the target: by pattern, or by the sha256 of the path. TUF 1.0.34 §4.5. */
export function isDelegated({ paths, pathHashPrefixes }: DelegatedPaths, path: string): boolean {
  if (paths) return paths.some((pattern) => matchesPattern(path, pattern));
  const hash = sha256Hex(path);
  return (pathHashPrefixes ?? []).some((prefix) => hash.startsWith(prefix));
}

/** Shell wildcards `*`, `?` and `[…]`, none of which matches a `/`: pattern and path have as many parts. */
export function matchesPattern(path: string, pattern: string): boolean {
  const parts = path.split('/');
  const patterns = pattern.split('/');
  return (
    parts.length === patterns.length && patterns.every((glob, index) => matches(glob, parts[index] ?? ''))
  );
}

/** Goes back to the last `*` only, so that no pattern takes more than |pattern| x |text| steps. */
function matches(glob: string, text: string): boolean {
  const tokens = tokensOf(glob);
  let [token, at] = [0, 0];
  let retry: { token: number; at: number } | undefined;
  while (at < text.length || token < tokens.length) {
    const wanted = tokens[token];
    if (wanted === '*') {
      retry = { token, at: at + 1 };
      token += 1;
    } else if (wanted && at < text.length && wanted(text[at] ?? '')) {
      token += 1;
      at += 1;
    } else if (retry && retry.at <= text.length) {
      ({ token, at } = retry);
    } else return false;
  }
  return true;
}

type Token = '*' | ((character: string) => boolean);

function tokensOf(glob: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < glob.length; at++) {
    const character = glob[at] ?? '';
    const end = character === '[' ? glob.indexOf(']', at + (glob[at + 1] === '!' ? 3 : 2)) : -1;
    if (character === '*') tokens.push('*');
    else if (character === '?') tokens.push(() => true);
    else if (end > 0) {
      tokens.push(setOf(glob.slice(at + 1, end)));
      at = end;
    } else tokens.push((candidate) => candidate === character);
  }
  return tokens;
}

/** `abc`, `a-z` and their negation with `!`. */
function setOf(text: string): (character: string) => boolean {
  const isNegated = text.startsWith('!');
  const ranges = [...text.slice(isNegated ? 1 : 0).matchAll(/([^])-([^])|([^])/g)].map(
    ([, from, to, single]) => [from ?? single ?? '', to ?? single ?? ''] as const,
  );
  return (character) => ranges.some(([from, to]) => character >= from && character <= to) !== isNegated;
}
