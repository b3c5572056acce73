import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { EMPTY, type NetworkState } from './core/state.ts';

/** A file whose content is whole: the old one or the new one. Not synced: it describes the kernel, which forgets too. */
export function replaceFile(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 });
  writeFileSync(`${path}.new`, content, { mode: 0o644 });
  renameSync(`${path}.new`, path);
}

/** A state that cannot be read is none: what it described is then found by its names and made anew. */
export function readState(path: string): NetworkState {
  if (!existsSync(path)) return EMPTY;
  try {
    const state = JSON.parse(readFileSync(path, 'utf8')) as NetworkState;
    return state.v === 1 ? state : EMPTY;
  } catch {
    return EMPTY;
  }
}
