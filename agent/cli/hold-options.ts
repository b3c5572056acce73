import { parseDurationMs } from '../../protocol/quantities.ts';
import { LOCAL_API_LIMITS } from '../local-api/limits.ts';
import { usage } from './arguments.ts';
import type { Call, Command, CommandOption } from './command.ts';
import { whoAsks } from './who-asks.ts';

/** Options of commands that hold an update, or let it go. */
export const BY: Record<string, CommandOption> = {
  by: { type: 'string', value: 'NAME', help: 'who says so; default: $SUDO_USER, else $USER' },
};
export const FOR: Record<string, CommandOption> = {
  for: { type: 'string', value: 'TIME', help: 'for how long, such as 30m or 2h; at most 168h' },
};
export const HOLDER: Record<string, CommandOption> = {
  holder: { type: 'string', value: 'NAME', help: 'who holds it; default: $SUDO_USER, else $USER' },
};

export const byOf = (call: Call, command: Command): string => nameIn(call, 'by', command);
export const holderOf = (call: Call, command: Command): string => nameIn(call, 'holder', command);

function nameIn({ io, options }: Call, option: 'by' | 'holder', command: Command): string {
  const name = options[option];
  if (typeof name !== 'string') return whoAsks(io.env);
  if (/^[\x20-\x7e]+$/.test(name) && name.length <= LOCAL_API_LIMITS.whoCharacters) return name;
  throw usage(
    `Cannot read --${option}: wanted a name of 1 to ${LOCAL_API_LIMITS.whoCharacters} printable characters`,
    command,
  );
}

export function forMsOf({ options }: Call, command: Command): number {
  const text = options['for'];
  if (typeof text !== 'string') throw usage(`Cannot run "${command.name}": --for TIME is missing`, command);
  const forMs = durationIn(text);
  if (forMs !== undefined) return forMs;
  throw usage(`Cannot read --for ${text}: wanted a time such as 30m or 2h, at most 168h`, command);
}

/** In ms; undefined for what is none, or longer than anything is held. */
export function durationIn(text: string): number | undefined {
  const forMs = parseDurationMs(text);
  return forMs !== undefined && forMs >= 1 && forMs <= LOCAL_API_LIMITS.holdMs ? forMs : undefined;
}
