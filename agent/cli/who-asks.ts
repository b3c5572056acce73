import type { Io } from './io.ts';

/** The person behind sudo rather than root: the name is for the record, it proves nothing. */
export function whoAsks(env: Io['env']): string {
  const name = env['SUDO_USER'] || env['USER'] || env['LOGNAME'] || '';
  return /^[\x21-\x7e]{1,64}$/.test(name) ? name : `uid ${process.getuid?.() ?? '?'}`;
}
