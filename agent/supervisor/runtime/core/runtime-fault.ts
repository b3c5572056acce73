/** What a runtime wrote to its log when it could not run a program in a container: crun and runc, as text or JSON. */
export interface RuntimeFault {
  /** As shells have it: 127 there is no such program, 126 it cannot be run. */
  exitCode: 126 | 127;
  /** The runtime's own words without what it says each time. */
  words: string;
}

const WORDS_CHARACTERS = 200;

/** Undefined when the log holds nothing: the runtime did its part. */
export function runtimeFault(log: string): RuntimeFault | undefined {
  const line = log.trim().split('\n').at(-1) ?? '';
  if (line === '') return undefined;
  const said = /\bmsg="((?:[^"\\]|\\.)*)"/.exec(line)?.[1]?.replaceAll('\\"', '"') ?? line;
  const words = said
    .replace(/^exec failed: unable to start container process: /, '')
    .replace(/^exec: /, '')
    .replaceAll(/[\p{Cc}\p{Cf}]/gu, '')
    .slice(0, WORDS_CHARACTERS);
  const isMissing = /not found|no such file/i.test(said) && !/\b(?:chdir|cwd|mkdir)\b/i.test(said);
  return { exitCode: isMissing ? 127 : 126, words };
}
