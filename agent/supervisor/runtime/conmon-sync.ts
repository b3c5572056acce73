import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

/** conmon's answer on the sync pipe, API version 1: `{"data": pid}` or `{"data": negative, "message": why}`. */
export interface SyncAnswer {
  pid: number;
  message: string;
}

const ANSWER_MS = 20_000;
const ANSWER_BYTES = 64 * 1024;

/** conmon, waiting: what it is to run begins with `letBegin`. When this process dies before, conmon begins as well. */
export function spawnConmon(args: readonly string[], cwd: string): ChildProcess {
  const conmon = spawn('conmon', args, {
    detached: true,
    cwd,
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], _OCI_SYNCPIPE: '3', _OCI_STARTPIPE: '4' },
  });
  // One that could not be started, or has ended, is told of by the sync pipe.
  conmon.on('error', () => {});
  conmon.stdio[4]?.on('error', () => {});
  return conmon;
}

export const letBegin = (conmon: ChildProcess): unknown => (conmon.stdio[4] as Writable).end('\n');

/** Ends one that was not let begin, so that it never does. */
export function abandon(conmon: ChildProcess): void {
  conmon.kill('SIGKILL');
  for (const pipe of [3, 4]) conmon.stdio[pipe]?.destroy();
}

/** Reads the one line that conmon writes when the container is created or was refused. */
export function readSyncPipe(conmon: ChildProcess): Promise<SyncAnswer> {
  const pipe = conmon.stdio[3] as Readable;
  return new Promise((resolve, reject) => {
    let text = '';
    const fail = (why: string): void => {
      clearTimeout(timer);
      pipe.destroy();
      reject(new Error(`Cannot start conmon: ${why}`));
    };
    const timer = setTimeout(() => fail(`no answer within ${ANSWER_MS} ms`), ANSWER_MS);
    if (conmon.pid === undefined) return fail('the program cannot be run; install the package "conmon"');
    pipe.setEncoding('utf8');
    pipe.on('data', (data: string) => {
      text += data;
      if (text.length > ANSWER_BYTES) return fail('its answer is too long');
      const end = text.indexOf('\n');
      if (end < 0) return undefined;
      clearTimeout(timer);
      pipe.destroy();
      return resolve(parse(text.slice(0, end)));
    });
    pipe.on('error', () => fail('the sync pipe broke'));
    pipe.on('end', () => fail(`it ended without an answer (${text.trim()})`));
  });
}

function parse(line: string): SyncAnswer {
  const answer = JSON.parse(line) as { data?: number; message?: string };
  return { pid: answer.data ?? -1, message: answer.message ?? 'no reason given' };
}

export const createError = (service: string, message: string): Error =>
  new Error(`Cannot create the container of service "${service}": ${message.trim()}`);
