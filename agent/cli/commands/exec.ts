import type { Readable } from 'node:stream';
import { usage } from '../arguments.ts';
import type { Call, Command } from '../command.ts';
import type { RunningProgram } from '../exec-client.ts';
import { EXIT } from '../exit-codes.ts';
import { write } from '../io.ts';
import { whoAsks } from '../who-asks.ts';

export const exec: Command = {
  name: 'exec',
  summary: "run a program in a service's container",
  description:
    'Runs a program in the container of a service that runs, with the user, the rights and the budgets of the ' +
    'service and none beyond them. Ends with the exit code of the program: 127 when there is no such program, 126 ' +
    'when it cannot be run, 128 + n when signal n ended it. When this command ends, however it ends, so does the ' +
    'program and whatever it started.',
  operands: ['service'],
  rest: 'program',
  refuseMore: 'Cannot run "exec": wanted -- before the program: wherry exec web -- ls /',
  options: {
    stdin: {
      type: 'boolean',
      short: 'i',
      help: 'give it stdin; without it there is nothing to read',
    },
    tty: { type: 'boolean', short: 't', help: 'give it a terminal: keys, Ctrl-C and size of this one' },
  },
  examples: [
    { command: 'wherry exec web -it -- sh', what: 'a shell' },
    { command: 'wherry exec web -- cat /etc/hosts', what: 'one program' },
    { command: 'wherry exec db -i -- sh -c "cat > /data/x" < x', what: 'with input' },
  ],
  run,
};

/** Of each stream, in the document of --json. */
const DOCUMENT_BYTES = 1024 * 1024;

async function run(call: Call): Promise<number> {
  const { client, operands, options, io, isJson, rest: argv } = call;
  const hasTerminal = options['tty'] === true;
  if (hasTerminal && isJson) throw usage('Cannot use --json with -t: a terminal is for a person', exec);
  if (hasTerminal && !io.terminal)
    throw usage('Cannot give it a terminal: stdin and stdout here are not one; leave -t out', exec);
  const terminal = hasTerminal
    ? { ...(io.terminal?.size() ?? { columns: 80, rows: 24 }), term: io.env['TERM'] || 'xterm' }
    : undefined;
  const service = operands[0] ?? '';
  const by = whoAsks(io.env);
  const program = await client.exec(service, { argv, ...(terminal && { terminal }), by });
  const unwatch = terminal && io.terminal?.watchSize(() => program.resize(io.terminal?.size() ?? terminal));
  if (terminal) io.terminal?.setRaw(true);
  try {
    if (terminal || options['stdin']) giveInput(io.stdin, program);
    else program.endInput();
    await (isJson ? document(call, program) : copy(call, program));
    return program.exitCode() ?? EXIT.interrupted;
  } finally {
    unwatch?.();
    if (terminal) io.terminal?.setRaw(false);
    program.close();
    // What is still to be read would keep this process.
    io.stdin.destroy();
  }
}

/** At the pace of the program; not waited for, as it may end without reading all. */
function giveInput(stdin: Readable, program: RunningProgram): void {
  stdin.on('data', (data: Buffer | string) => {
    stdin.pause();
    void program.write(Buffer.from(data)).then(() => stdin.resume());
  });
  stdin.once('end', () => program.endInput());
  stdin.once('error', () => program.endInput());
}

async function copy({ io }: Call, program: RunningProgram): Promise<void> {
  for await (const { stream, data } of program.output()) await write(io[stream], data);
}

async function document({ operands, rest: argv, printJson }: Call, program: RunningProgram): Promise<void> {
  const kept = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  const bytes = { stdout: 0, stderr: 0 };
  for await (const { stream, data } of program.output()) {
    kept[stream].push(data.subarray(0, Math.max(0, DOCUMENT_BYTES - bytes[stream])));
    bytes[stream] += data.length;
  }
  const exitCode = program.exitCode();
  if (exitCode === undefined) return;
  await printJson({
    service: operands[0],
    argv,
    exitCode,
    stdout: Buffer.concat(kept.stdout).toString('utf8'),
    stderr: Buffer.concat(kept.stderr).toString('utf8'),
    isCut: Math.max(bytes.stdout, bytes.stderr) > DOCUMENT_BYTES,
  });
}
