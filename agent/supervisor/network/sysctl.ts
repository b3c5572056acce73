import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Sysctl, sysctls } from './core/links.ts';
import type { NetworkState, Owned } from './core/state.ts';

/** Sets those that differ and gives them back. A kernel without IPv6 has no such files and nothing to turn off. */
export function setSysctls(owned: Owned, state: NetworkState): Sysctl[] {
  const differing = sysctls(owned, state).filter(({ path, value }) => {
    const file = join('/proc/sys', path);
    return existsSync(file) && readFileSync(file, 'utf8').trim() !== value;
  });
  for (const { path, value } of differing) writeFileSync(join('/proc/sys', path), value);
  return differing;
}
