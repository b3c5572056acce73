import { SOCKET_CLOSED } from '../../diagnostics/check.ts';
import type { AgentStatus } from '../../local-api/ports.ts';
import { findConfig } from '../agent-config.ts';
import type { Call, Command } from '../command.ts';
import { describeDiagnosis } from '../core/doctor.ts';
import { CliError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import { write } from '../io.ts';
import { isClosed } from '../without-agent.ts';

export const doctor: Command = {
  name: 'doctor',
  summary: 'checks the whole device, and says what to do',
  description:
    'Checks clock, supply, heat, memory, storage, kernel, programs, ledger, images, network, server, certificate and ' +
    'broker, and runs the plugins of /etc/wherry/doctor.d. Needs neither agent nor network: what cannot be told is ' +
    'said so. Ends with 1 when a check fails, else with 0.',
  operands: [],
  options: {
    quick: { type: 'boolean', help: 'do not read the images, which may take a minute' },
  },
  examples: [
    { command: 'sudo wherry doctor', what: 'everything' },
    {
      command: `wherry doctor --quick --json | jq '.checks[] | select(.verdict == "fail")'`,
      what: 'what fails',
    },
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const { io, options, isJson, print, printJson, field } = call;
  const wait = waitingLine(call);
  const diagnosis = await field.diagnose({
    configFile: (await findConfig(call)).file,
    isQuick: options['quick'] === true,
    agent: await statusOrWhy(call),
    signal: io.signal,
    onProgress: wait.show,
  });
  await wait.clear();
  // What was cut short by Ctrl-C is no finding.
  if (io.signal.aborted) return EXIT.interrupted;
  if (isJson) await printJson(diagnosis);
  else {
    const columns = io.isTTY ? io.columns : Number.POSITIVE_INFINITY;
    await print(describeDiagnosis(diagnosis, columns, call.paint));
  }
  return diagnosis.verdict === 'fail' ? EXIT.failed : EXIT.ok;
}

/** Of the agent, or why it does not answer. */
export async function statusOrWhy({ client }: Pick<Call, 'client'>): Promise<AgentStatus | string> {
  try {
    return await client.status();
  } catch (error) {
    if (error instanceof CliError) return isClosed(error) ? SOCKET_CLOSED : error.message;
    throw error;
  }
}

/** One line on a terminal that is written over and over; nothing elsewhere. */
export function waitingLine({ io, isJson }: Pick<Call, 'io' | 'isJson'>) {
  const isShown = io.isTTY && !isJson;
  // Spaces wipe what stood there: a dumb terminal knows no more.
  const put = (text: string): Promise<void> =>
    write(io.stderr, `\r${text.slice(0, io.columns - 1).padEnd(io.columns - 1)}\r`);
  let isUsed = false;
  return {
    show: (what: string, text: string): void => {
      if (!isShown) return;
      isUsed = true;
      put(`${what}: ${text}`).catch(() => {});
    },
    clear: async (): Promise<void> => {
      if (isUsed) await put('');
    },
  };
}
