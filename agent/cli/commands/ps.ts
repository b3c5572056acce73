import type { ServiceStatus } from '../../../protocol/status.ts';
import type { Call, Command } from '../command.ts';
import { knownServicesTable } from '../core/last-known.ts';
import { servicesTable } from '../core/services-table.ts';
import { plain } from '../core/status.ts';
import { EXIT } from '../exit-codes.ts';
import { type Paint, STATE_PAINT } from '../paint.ts';
import { DOWN, withoutAgent } from '../without-agent.ts';

export const ps: Command = {
  name: 'ps',
  summary: 'services with their state and use against budget',
  description:
    'Lists the services of the release in force: state and for how long, restarts, and use against budget ' +
    '(memory, CPU in cores, processes), then health, "throttled" and "degraded" where they apply, and the ' +
    'newest reason. Where these do not fit beside the table they stand below their service. Without the agent it ' +
    'shows the containers that there are, and ends with 3.',
  operands: [],
  options: {},
  examples: [
    { command: 'wherry ps', what: 'look' },
    { command: `wherry ps --json | jq -r '.services[].name'`, what: 'names only' },
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const { io, paint, client, isJson, print, printJson, say } = call;
  const answer = await withoutAgent(call, client.services, async ({ seenAt, services }) => {
    if (!isJson) await print(knownServicesTable(services, io.now()));
    return { lastKnown: { ...(seenAt !== undefined && { seenAt }), services } };
  });
  if (answer === undefined) return DOWN;
  const { services } = answer;
  if (isJson) await printJson({ services });
  else if (services.length === 0) await say('There are no services yet: the device has no release');
  else {
    const table = servicesTable(services, io.now(), io.isTTY ? io.columns : Number.POSITIVE_INFINITY);
    await print(table.heading.map(paint.dim));
    for (const [index, service] of services.entries()) {
      await print(colour(table.services[index] ?? [], table.row, service, paint));
    }
  }
  return EXIT.ok;
}

function colour(lines: string[], row: number, { name, state }: ServiceStatus, paint: Paint): string[] {
  const word = plain(state);
  return lines.map((line, index) => {
    if (index !== row) return index > row ? paint.dim(line) : line;
    // A service may be called "running": the state comes after the name's cell, where the name is on this line.
    const at = line.indexOf(word, row === 0 ? name.length : 0);
    return line.slice(0, at) + paint[STATE_PAINT[state]](word) + line.slice(at + word.length);
  });
}
