import { clientVersion } from '../client-version.ts';
import type { Call, Command } from '../command.ts';
import { CliError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';

export const version: Command = {
  name: 'version',
  summary: 'versions of this client and of the agent',
  description: 'Prints the versions of this client and of the agent. Ends with 0 also when no agent answers.',
  operands: [],
  options: {},
  examples: [{ command: 'wherry version', what: 'look' }],
  run,
};

async function run({ client, isJson, print, printJson, say }: Call): Promise<number> {
  const own = clientVersion();
  const agent = await client.version().catch((error: unknown) => {
    if (error instanceof CliError) return error;
    throw error;
  });
  const isDown = agent instanceof CliError;
  if (isJson) {
    const { code, message } = isDown ? agent : {};
    await printJson({
      client: own,
      agent: isDown ? null : agent,
      ...(isDown && { error: { code, message } }),
    });
    return EXIT.ok;
  }
  await print([
    `client  ${own.version} (node ${own.node})`,
    `agent   ${isDown ? 'no answer' : `${agent.version} (node ${agent.node}, api ${agent.api})`}`,
  ]);
  if (isDown) await say(agent.message);
  else if (agent.version !== own.version)
    await say('The two differ: restart the agent to run the one installed');
  return EXIT.ok;
}
