import { LOCAL_API_LIMITS } from '../../local-api/limits.ts';
import { usage } from '../arguments.ts';
import type { Call, Command } from '../command.ts';
import { formatDuration } from '../core/duration.ts';
import { layOutTable, printable } from '../core/layout.ts';
import { EXIT } from '../exit-codes.ts';
import { FOR, forMsOf, HOLDER, holderOf } from '../hold-options.ts';
import { clockTime } from '../timestamp.ts';

export const leaseTake: Command = {
  name: 'lease take',
  summary: 'ask that no update disturbs this device for a time',
  description:
    'Takes a lease: until it ends or is given back no release takes over, unless it is urgent or has waited as long ' +
    'as its policy allows. It survives a reboot. Taken again by the same holder it is renewed.',
  operands: [],
  options: {
    ...FOR,
    why: { type: 'string', value: 'TEXT', help: 'what is not to be disturbed, one line' },
    ...HOLDER,
  },
  examples: [
    { command: 'wherry lease take --for 30m --why "calibrating"', what: 'not in the next half hour' },
  ],
  run: take,
};

export const leaseShow: Command = {
  name: 'lease show',
  summary: 'who asks not to be disturbed, and until when',
  description:
    'Lists the leases that people took and those that services of the release hold, the longest first.',
  operands: [],
  options: {},
  examples: [{ command: 'wherry lease show', what: 'look' }],
  run: show,
};

export const leaseRelease: Command = {
  name: 'lease release',
  summary: 'give a lease back before it ends',
  description:
    'Gives a lease that was taken by hand back; an update that waited for it goes on at once. A service gives its ' +
    'own back by removing its file.',
  operands: [],
  options: HOLDER,
  examples: [{ command: 'wherry lease release', what: 'ready for updates' }],
  run: release,
};

async function take(call: Call): Promise<number> {
  const { client, options, isJson, print, printJson } = call;
  const why = options['why'];
  if (typeof why !== 'string')
    throw usage('Cannot run "lease take": --why TEXT is missing; others want to know', leaseTake);
  if (!/^[^\p{Cc}\p{Cf}]+$/u.test(why) || why.length > LOCAL_API_LIMITS.whyCharacters)
    throw usage(
      `Cannot read --why: wanted one line of 1 to ${LOCAL_API_LIMITS.whyCharacters} characters`,
      leaseTake,
    );
  const answer = await client.takeLease(holderOf(call, leaseTake), { why, forMs: forMsOf(call, leaseTake) });
  if (isJson) await printJson(answer);
  else await print([`${printable(answer.holder)}: taken until ${clockTime(answer.until ?? 0)}`]);
  return EXIT.ok;
}

async function show({ io, paint, client, isJson, print, printJson, say }: Call): Promise<number> {
  const { leases } = await client.leases();
  if (isJson) await printJson({ leases });
  else if (leases.length === 0) await say('Nobody asks not to be disturbed');
  else {
    const columns = ['HOLDER', 'KIND', 'UNTIL', 'LEFT', 'WHY'].map((title) => ({
      title,
      align: 'left' as const,
    }));
    const rows = leases.map(({ holder, kind, until, why }) => [
      printable(holder),
      kind,
      clockTime(until),
      formatDuration(until - io.now()),
      printable(why),
    ]);
    const [heading = '', ...lines] = layOutTable(columns, rows);
    await print([paint.dim(heading), ...lines]);
  }
  return EXIT.ok;
}

async function release(call: Call): Promise<number> {
  const { client, isJson, print, printJson } = call;
  const answer = await client.releaseLease(holderOf(call, leaseRelease));
  if (isJson) await printJson(answer);
  else await print([`${printable(answer.holder)}: ${answer.result}`]);
  return EXIT.ok;
}
