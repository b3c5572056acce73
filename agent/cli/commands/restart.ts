import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { whoAsks } from '../who-asks.ts';

export const restart: Command = {
  name: 'restart',
  summary: 'stop a service and start it again',
  description:
    'Asks the agent to stop a service (its stop signal, then SIGKILL after its grace) and start it again. Ends ' +
    'with 0 when the agent has accepted; it does not wait for the service to be up. Also starts a service ' +
    'that was given up after too many failures.',
  operands: ['service'],
  options: {},
  examples: [
    { command: 'wherry restart sensor', what: 'restart it' },
    { command: 'wherry why sensor', what: 'then see what became of it' },
  ],
  run,
};

async function run({ io, client, operands, isJson, print, printJson, say }: Call): Promise<number> {
  const answer = await client.restart(operands[0] ?? '', whoAsks(io.env));
  if (isJson) await printJson(answer);
  else await print([`${answer.service}: restart ${answer.result}`]);
  await say('The agent now stops it (SIGKILL once its grace is over) and starts it again.');
  await say(`See what became of it: wherry why ${answer.service}`);
  return EXIT.ok;
}
