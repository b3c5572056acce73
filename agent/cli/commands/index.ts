import type { Command } from '../command.ts';
import { logs } from './logs.ts';
import { ps } from './ps.ts';
import { restart } from './restart.ts';
import { status } from './status.ts';
import { version } from './version.ts';
import { why } from './why.ts';

/** Device commands in the order of the help. */
export const COMMANDS: Command[] = [status, ps, logs, why, restart, version];
