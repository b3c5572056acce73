import type { Call, Command } from '../command.ts';
import { describeCapsule } from '../core/capsule.ts';
import { formatDuration } from '../core/duration.ts';
import { hang, layOutTable, printable } from '../core/layout.ts';
import { reasonLines } from '../core/reason-lines.ts';
import { EXIT } from '../exit-codes.ts';
import { timestamp } from '../timestamp.ts';

export const postmortemList: Command = {
  name: 'postmortem list',
  summary: 'what is kept of crashes, newest first',
  description:
    'Lists what the agent keeps of services that crashed, were killed for want of memory or took their release ' +
    'down. It keeps the last ones, also over a reboot.',
  operands: [],
  options: {},
  examples: [{ command: 'wherry postmortem list', what: 'look' }],
  run: list,
};

export const postmortemShow: Command = {
  name: 'postmortem show',
  summary: 'one of them: reasons, use, pressure and its last lines',
  description:
    'Prints one post-mortem: how the service ended and why, its use against budget and the pressure on the ' +
    'device at the time, and the last lines that it wrote.',
  operands: ['id'],
  options: {},
  examples: [
    { command: 'wherry postmortem list', what: 'the ids' },
    { command: 'wherry postmortem show 019aa5f2c800-web', what: 'one of them' },
  ],
  run: show,
};

async function list({ io, paint, client, isJson, print, printJson, say }: Call): Promise<number> {
  const { postmortems } = await client.postmortems();
  if (isJson) {
    await printJson({ postmortems });
    return EXIT.ok;
  }
  if (postmortems.length === 0) {
    await say('There are no post-mortems');
    return EXIT.ok;
  }
  const [heading = '', ...rows] = layOutTable(
    ['ID', 'AGO', 'KIND', 'RELEASE'].map((title) => ({ title, align: 'left' as const })),
    postmortems.map(({ id, at, kind, release }) => [
      id,
      formatDuration(io.now() - at),
      kind,
      printable(release ?? '-'),
    ]),
  );
  const columns = io.isTTY ? io.columns : Number.POSITIVE_INFINITY;
  await print([paint.dim(heading)]);
  for (const [index, { message, causes = [] }] of postmortems.entries()) {
    const chain = causes.flatMap((cause) => hang('    because ', printable(cause.message), columns));
    await print([
      rows[index] ?? '',
      ...hang('  ', printable(message) || 'no reason on record', columns),
      ...chain.map(paint.dim),
    ]);
  }
  return EXIT.ok;
}

async function show({ io, paint, client, operands, isJson, print, printJson }: Call): Promise<number> {
  const capsule = await client.postmortem(operands[0] ?? '');
  if (isJson) {
    await printJson(capsule);
    return EXIT.ok;
  }
  const columns = io.isTTY ? io.columns : Number.POSITIVE_INFINITY;
  const facts = describeCapsule(capsule).flatMap(([heading, text]) => {
    const label = heading.padEnd(10);
    return hang(label, printable(text), columns).map((line, index) =>
      index ? line : paint.dim(label) + line.slice(label.length),
    );
  });
  const reasons = capsule.reasons.flatMap((reason) => {
    const { heading, text } = reasonLines(reason, io.now(), columns);
    return [paint.dim(heading), ...text];
  });
  const log = capsule.log.map(({ at, stream, text }) => {
    const line = printable(text);
    return `${paint.dim(timestamp(at))} ${stream === 'stderr' ? paint.warn(line) : line}`;
  });
  await print([...facts, '', paint.bold('Why'), ...reasons, '', paint.bold('Its last lines'), ...log]);
  return EXIT.ok;
}
