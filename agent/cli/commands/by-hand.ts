import { usage } from '../arguments.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { durationIn } from '../hold-options.ts';
import { clockTime } from '../timestamp.ts';
import { whoAsks } from '../who-asks.ts';
import { WHY, whyOf } from '../why-option.ts';

export const stop: Command = {
  name: 'stop',
  summary: 'stop a service for a time, whatever would start it',
  description:
    'Asks the agent to stop a service (its stop signal, then SIGKILL after its grace) and to leave it so until it is ' +
    'started by hand or the time is over: over restarts of the agent, reboots and new releases. Asked again, the time ' +
    'begins anew. Services that depend on it run on; those that are to start wait for it.',
  operands: ['service'],
  options: {
    for: {
      type: 'string',
      value: 'TIME',
      help: 'for how long, such as 30m or 2h; at most 168h (default: 1h)',
    },
    ...WHY,
  },
  examples: [
    { command: 'wherry stop camera --for 30m --why "cleaning the lens"', what: 'for half an hour' },
    { command: 'wherry start camera', what: 'done earlier' },
  ],
  run: runStop,
};

export const start: Command = {
  name: 'start',
  summary: 'end a stop by hand, or start what gave up',
  description:
    'Starts a service that was stopped by hand, that backs off or that was given up after too many failures. Ends with ' +
    '0 when the agent has accepted; it does not wait for the service to be up. One that runs is left as it is.',
  operands: ['service'],
  options: WHY,
  examples: [{ command: 'wherry start camera', what: 'start it' }],
  run: runStart,
};

export const restart: Command = {
  name: 'restart',
  summary: 'stop a service and start it again',
  description:
    'Asks the agent to stop a service (its stop signal, then SIGKILL after its grace) and start it again. Ends ' +
    'with 0 when the agent has accepted; it does not wait for the service to be up. Also starts a service ' +
    'that was given up after too many failures; refused for one that somebody stopped by hand.',
  operands: ['service'],
  options: WHY,
  examples: [
    { command: 'wherry restart sensor --why "no readings"', what: 'restart it' },
    { command: 'wherry why sensor', what: 'then see what became of it' },
  ],
  run: runRestart,
};

async function runStop(call: Call): Promise<number> {
  const { io, client, operands, options, isJson, print, printJson, say } = call;
  const [text, why] = [options['for'], whyOf(call, stop)];
  const forMs = typeof text === 'string' ? durationIn(text) : undefined;
  if (text !== undefined && forMs === undefined)
    throw usage(`Cannot read --for ${text}: wanted a time such as 30m or 2h, at most 168h`, stop);
  const by = whoAsks(io.env);
  const answer = await client.stop(operands[0] ?? '', { by, ...(why && { why }), ...(forMs && { forMs }) });
  const { service, until, dependants, isUnsaved } = answer;
  if (isJson) await printJson(answer);
  else await print([`${service}: held until ${clockTime(until)}`]);
  await say('The agent now stops it (SIGKILL once its grace is over).');
  if (dependants.length > 0)
    await say(`What depends on it runs on, but does not start without it: ${dependants.join(', ')}`);
  if (isUnsaved)
    await say('The disk of the agent does not take it: should the agent end before, it is forgotten.');
  await say(`Start it earlier: wherry start ${service}`);
  return EXIT.ok;
}

async function runStart(call: Call): Promise<number> {
  const { io, client, operands, isJson, print, printJson, say } = call;
  const why = whyOf(call, start);
  const answer = await client.start(operands[0] ?? '', { by: whoAsks(io.env), ...(why && { why }) });
  const { service, result } = answer;
  if (isJson) await printJson(answer);
  else await print([result === 'running' ? `${service}: runs already` : `${service}: start ${result}`]);
  if (result !== 'running') await say(`See what became of it: wherry why ${service}`);
  return EXIT.ok;
}

async function runRestart(call: Call): Promise<number> {
  const { io, client, operands, isJson, print, printJson, say } = call;
  const why = whyOf(call, restart);
  const answer = await client.restart(operands[0] ?? '', { by: whoAsks(io.env), ...(why && { why }) });
  if (isJson) await printJson(answer);
  else await print([`${answer.service}: restart ${answer.result}`]);
  await say('The agent now stops it (SIGKILL once its grace is over) and starts it again.');
  await say(`See what became of it: wherry why ${answer.service}`);
  return EXIT.ok;
}
