import { REMOTE_LIMITS } from '../../protocol/remote-actions.ts';
import type { ExecSession } from '../local-api/exec-port.ts';
import { DONE, type End, type Question, unknownService } from './question.ts';
import type { Reply } from './reply.ts';

export async function answerBundle({ view, who, reply }: Question): Promise<End> {
  reply.sendNow({});
  for await (const piece of view.bundle.make({ maxBytes: REMOTE_LIMITS.bundleBytes, who })) {
    if (!(await sendBytes(reply, piece))) break;
  }
  return DONE;
}

/** A program in the service's container, its output, and what somebody types to it. */
export async function answerExec({ ask, view, who, reply }: Question): Promise<End> {
  const { service = '', exec } = ask;
  const { argv, terminal } = exec ?? { argv: [] };
  // Programs that know no more of the screen than its size write plain text.
  const session = await view.exec.open(
    service,
    { argv, ...(terminal && { terminal: { ...terminal, term: 'dumb' } }) },
    who,
  );
  if ('refused' in session)
    return session.code === 'unknown-service'
      ? unknownService(service)
      : { code: 'refused', message: session.refused };
  reply.sendNow({});
  const close = () => session.close();
  if (reply.signal.aborted) close();
  reply.signal.addEventListener('abort', close);
  const typing = typeInto(session, reply).catch(() => reply.abort());
  try {
    for await (const { stream, data } of session.output) {
      if (!(await sendBytes(reply, data, stream))) break;
    }
    if (reply.signal.aborted) return DONE;
    const exitCode = await session.exitCode;
    return { ...DONE, exitCode: Math.min(255, Math.max(0, exitCode)) };
  } finally {
    close();
    reply.abort();
    await typing;
  }
}

async function typeInto(session: ExecSession, reply: Reply): Promise<void> {
  for await (const { input, endInput, resize } of reply.inputs()) {
    if (resize) session.resize(resize.columns, resize.rows);
    if (input) await session.write(Buffer.from(input, 'base64'));
    if (endInput) session.endInput();
  }
}

/** False when nobody waits for it any more. */
async function sendBytes(reply: Reply, bytes: Uint8Array, stream?: 'stdout' | 'stderr'): Promise<boolean> {
  for (let at = 0; at < bytes.length; at += REMOTE_LIMITS.pieceBytes) {
    const piece = Buffer.from(bytes.subarray(at, at + REMOTE_LIMITS.pieceBytes));
    const part = { data: piece.toString('base64'), ...(stream && { stream }) };
    if (!(await reply.send(part))) return false;
  }
  return !reply.signal.aborted;
}
