import { readdirSync, readFileSync } from 'node:fs';

/** Text of a file of the kernel or of our own; undefined when it cannot be read. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Our own JSON of version 1; undefined for anything else: such a file is begun anew. */
export function readRecord<T extends { v: 1 }>(path: string): T | undefined {
  try {
    const record = JSON.parse(readText(path) ?? '') as T | null;
    return record?.v === 1 ? record : undefined;
  } catch {
    return undefined;
  }
}

/** Names in a folder; none when it is not there. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
