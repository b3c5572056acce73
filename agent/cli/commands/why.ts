import type { WhyAnswer } from '../../local-api/answers.ts';
import type { Call, Command } from '../command.ts';
import { formatDuration } from '../core/duration.ts';
import { printable } from '../core/layout.ts';
import { reasonLines } from '../core/reason-lines.ts';
import { plain } from '../core/status.ts';
import { EXIT } from '../exit-codes.ts';
import { clockTime } from '../timestamp.ts';

export const why: Command = {
  name: 'why',
  summary: 'the chain of reasons that led a service to its state',
  description:
    'Prints why a service is in its state, newest reason first, each with its time in UTC and its reason code; ' +
    'what led to a reason stands below it, deeper. The codes are stable and listed in docs/protocol.md.',
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
  const reasons = answer.reasons.flatMap((reason, index) => {
    const { heading, text } = reasonLines(reason, now, columns);
    return [paint.dim(index === 0 ? heading : `before that, ${heading}`), ...text];
  });
  const held = answer.hold ? [holdLine(answer.hold, now)] : [];
  await print([...held, paint.bold(opening(answer, now)), ...reasons]);
  return EXIT.ok;
}

/** Who may be asked, and when it goes on anyway: also while what it was about is still being stopped. */
function holdLine({ by, until }: NonNullable<WhyAnswer['hold']>, now: number): string {
  return `Held by ${printable(by)} for another ${formatDuration(until - now)}, until ${clockTime(until)}`;
}

function opening({ service, state, since, kind, reasons }: WhyAnswer, now: number): string {
  const chain = reasons.length ? ', because' : '; no reason is on record';
  if (state === undefined || since === undefined)
    return `${service} is not part of the release in force${chain}`;
  return `${service}${kind ? ` (${kind})` : ''} has been ${plain(state)} for ${formatDuration(now - since)}${chain}`;
}
