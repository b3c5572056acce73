import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../scripts/setup.mjs';

/** What bin/wherry-agent gives Node to keep it small: a part that is measured by itself runs as it does in the agent. */
export function agentFlags(): string[] {
  const script = readFileSync(join(ROOT, 'bin/wherry-agent'), 'utf8');
  const flags = ['small', 'tidy', 'brief'].map(
    (name) => new RegExp(`^${name}='(.*)'$`, 'm').exec(script)?.[1],
  );
  if (flags.includes(undefined)) throw new Error('Cannot find the flags of Node in bin/wherry-agent');
  return flags.join(' ').split(' ');
}
