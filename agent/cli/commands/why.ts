import type { WhyAnswer } from '../../local-api/answers.ts';
import type { Call, Command } from '../command.ts';
import { formatDuration } from '../core/duration.ts';
import { hang, printable } from '../core/layout.ts';
import { plain } from '../core/status.ts';
import { EXIT } from '../exit-codes.ts';
import { clockTime } from '../timestamp.ts';

export const why: Command = {
  name: 'why',
  summary: 'the chain of reasons that led a service to its state',
  description:
    'Prints why a service is in its state, newest reason first, each with its time in UTC and its reason code. ' +
    'The codes are stable and listed in docs/protocol.md.',
  operands: ['service'],
  options: {},
  examples: [{ command: 'wherry why sensor', what: 'why does it run, wait or restart?' }],
  run,
};

async function run({ io, paint, client, operands, isJson, print, printJson }: Call): Promise<number> {
  const answer = await client.why(operands[0] ?? '');
  if (isJson) {
    await printJson(answer);
    return EXIT.ok;
  }
  const now = io.now();
  const columns = io.isTTY ? io.columns : Number.POSITIVE_INFINITY;
  const reasons = answer.reasons.flatMap(({ at, message, code }, index) => {
    const heading = `${clockTime(at)}, ${formatDuration(now - at)} ago`;
    const text = hang('  ', `${printable(message)} [${code}]`, columns);
    return [paint.dim(index === 0 ? heading : `before that, ${heading}`), ...text];
  });
  await print([paint.bold(opening(answer, now)), ...reasons]);
  return EXIT.ok;
}

function opening({ service, state, since, reasons }: WhyAnswer, now: number): string {
  const chain = reasons.length ? ', because' : '; no reason is on record';
  if (state === undefined || since === undefined)
    return `${service} is not part of the release in force${chain}`;
  return `${service} has been ${plain(state)} for ${formatDuration(now - since)}${chain}`;
}
