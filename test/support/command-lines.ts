import { readdirSync, readFileSync } from 'node:fs';

/** Of all processes of the machine, words parted by spaces. */
export const commandLines = (): string[] =>
  readdirSync('/proc')
    .filter((name) => Number(name) > 0)
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      } catch {
        return '';
      }
    });
