import { parseDurationMs } from '../../../protocol/quantities.ts';
import { findConfig, readConfig } from '../agent-config.ts';
import { usage } from '../arguments.ts';
import type { Call, Command, CommandOption } from '../command.ts';
import { type ChaosReport, describeChaos } from '../core/chaos.ts';
import { CliError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';

type Name = 'kill-service' | 'kill-agent' | 'fill-disk' | 'cut-network' | 'exhaust-memory';

const SAYS_SO = 'yes-this-is-a-development-board';
const COMMON: Record<string, CommandOption> = {
  within: { type: 'string', value: 'TIME', help: 'how long it may take to be whole again (default: 2m)' },
  [SAYS_SO]: { type: 'boolean', help: 'on a machine that is no board: it may be broken' },
};
const FOR: Record<string, CommandOption> = {
  for: { type: 'string', value: 'TIME', help: 'for how long (default: 10s; at most 1h)' },
};
const DEFAULT_FOR_MS = 10_000;
const DEFAULT_WITHIN_MS = 120_000;
const MOST_MS = 3_600_000;
const AFTERWARDS =
  ' Then waits for the device to be as whole as before, and reports; it ends with 1 when it was not in time. On a ' +
  'development board only.';

export const chaosKillService = experiment('kill-service', {
  summary: 'kill a service: it has to come back',
  description: 'Kills the process of a service, as a crash would.',
  operands: ['service'],
  options: {},
  example: 'sudo wherry chaos kill-service web',
});

export const chaosKillAgent = experiment('kill-agent', {
  summary: 'kill the agent: its services have to run on',
  description:
    'Kills the agent. Its service manager has to start it again, and services have to keep their processes.',
  operands: [],
  options: {},
  example: 'sudo wherry chaos kill-agent --within 30s',
});

export const chaosFillDisk = experiment('fill-disk', {
  summary: 'fill the disk of the agent for a time',
  description: "Fills the disk of the agent's state to the last block, in a file that it removes again.",
  operands: [],
  options: FOR,
  example: 'sudo wherry chaos fill-disk --for 1m',
});

export const chaosCutNetwork = experiment('cut-network', {
  summary: 'cut the device off its server for a time',
  description: 'Drops every packet to and from the fleet server, and none else.',
  operands: [],
  options: FOR,
  example: 'sudo wherry chaos cut-network --for 5m',
});

export const chaosExhaustMemory = experiment('exhaust-memory', {
  summary: 'ask for more memory within a service than it has',
  description:
    "Runs a process in the service's cgroup that wants twice its memory: the kernel has to end one of the two.",
  operands: ['service'],
  options: {},
  example: 'sudo wherry chaos exhaust-memory web',
});

export const chaosPowerCut: Command = {
  name: 'chaos power-cut',
  summary: 'reboot at once, as when the power goes',
  description:
    'Reboots the board without a sync or an unmount. What became of it is told by wherry chaos report, once it is up ' +
    'again. On a development board only.',
  operands: [],
  options: { [SAYS_SO]: COMMON[SAYS_SO] as CommandOption },
  examples: [{ command: 'sudo wherry chaos power-cut', what: 'now' }],
  run: powerCut,
};

export const chaosReport: Command = {
  name: 'chaos report',
  summary: 'what became of the power cut',
  description: 'Waits for the device to be whole after wherry chaos power-cut, and reports.',
  operands: [],
  options: { within: COMMON['within'] as CommandOption },
  examples: [{ command: 'sudo wherry chaos report', what: 'after the board is up again' }],
  run: report,
};

export const chaosUndo: Command = {
  name: 'chaos undo',
  summary: 'take back what a killed experiment left',
  description:
    'Takes back what an experiment changed whose command was killed half-way. The agent does so too when it starts, ' +
    'and every other experiment before it begins.',
  operands: [],
  options: {},
  examples: [{ command: 'sudo wherry chaos undo', what: 'safe to repeat' }],
  run: undo,
};

interface Declared extends Pick<Command, 'summary' | 'description' | 'operands' | 'options'> {
  example: string;
}

function experiment(name: Name, { example, description, options, ...declared }: Declared): Command {
  const command: Command = {
    ...declared,
    name: `chaos ${name}`,
    description: description + AFTERWARDS,
    options: { ...options, ...COMMON },
    examples: [{ command: example, what: 'break it' }],
    run: (call) => begin(name, call, command),
  };
  return command;
}

async function begin(name: Name, call: Call, command: Command): Promise<number> {
  const { permitChaos, runExperiment } = await import('../chaos/run-experiment.ts');
  const { EXPERIMENTS } = await import('../chaos/experiments.ts');
  const wish = {
    service: call.operands[0],
    forMs: timeOf(call, 'for', DEFAULT_FOR_MS, command),
    withinMs: timeOf(call, 'within', DEFAULT_WITHIN_MS, command),
    saysSo: call.options[SAYS_SO] === true,
  };
  permitChaos(call, wish.saysSo);
  return told(await runExperiment(name, EXPERIMENTS[name], call, await stateDirOf(call), wish), call);
}

async function powerCut(call: Call): Promise<number> {
  const { permitChaos } = await import('../chaos/run-experiment.ts');
  const { cutPower } = await import('../chaos/power-cut.ts');
  permitChaos(call, call.options[SAYS_SO] === true);
  await cutPower(call, await stateDirOf(call));
  if (call.isJson) await call.printJson({ experiment: 'power-cut', result: 'begun' });
  return EXIT.ok;
}

async function report(call: Call): Promise<number> {
  const { reportPowerCut } = await import('../chaos/power-cut.ts');
  const withinMs = timeOf(call, 'within', DEFAULT_WITHIN_MS, chaosReport);
  return told(await reportPowerCut(call, await stateDirOf(call), withinMs), call);
}

async function undo(call: Call): Promise<number> {
  const { undoLeftBehind } = await import('../../chaos/undo-chaos.ts');
  const undone = await undoLeftBehind(await stateDirOf(call));
  if (call.isJson) await call.printJson({ undone: undone ?? null });
  else await call.print([undone === undefined ? 'Nothing was left to take back' : `${undone}: taken back`]);
  return EXIT.ok;
}

async function told(answer: ChaosReport, { isJson, print, printJson }: Call): Promise<number> {
  if (isJson) await printJson(answer);
  else await print(describeChaos(answer));
  return answer.passed ? EXIT.ok : EXIT.failed;
}

async function stateDirOf(call: Call): Promise<string> {
  const { file } = await findConfig(call);
  const { checked } = readConfig(file);
  if (checked.ok) return checked.value.stateDir;
  throw new CliError('bad-config', `Cannot use configuration ${file}: ${checked.faults.join('; ')}`);
}

function timeOf({ options }: Call, name: string, otherwise: number, command: Command): number {
  const text = options[name];
  if (typeof text !== 'string') return otherwise;
  const ms = parseDurationMs(text);
  if (ms !== undefined && ms >= 1 && ms <= MOST_MS) return ms;
  throw usage(`Cannot read --${name} ${text}: wanted a time such as 30s or 5m, at most 1h`, command);
}
