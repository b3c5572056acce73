import { open } from 'node:fs/promises';
import { LOCAL_API_LIMITS } from '../../local-api/limits.ts';
import { usage } from '../arguments.ts';
import type { Call, Command } from '../command.ts';
import { layOutTable, printable } from '../core/layout.ts';
import { CliError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import { whoAsks } from '../who-asks.ts';

const PIPE_IT = 'pipe it in, or name a file with --from-file';

export const secretPut: Command = {
  name: 'secret put',
  summary: 'keep a secret on this device',
  description:
    'Keeps what comes on standard input, or a file, under a name, sealed to this device and byte for byte (a ' +
    'newline at its end too). Services that wait for it start at once; one that runs has it after its restart. ' +
    'A secret is never shown again, only replaced.',
  operands: ['name'],
  refuseMore: `Cannot take a secret from the command line: other users and the shell's history see it; ${PIPE_IT}`,
  options: { 'from-file': { type: 'string', value: 'FILE', help: 'read it from this file' } },
  examples: [
    { command: 'wherry secret put tls.key --from-file key.pem', what: 'from a file' },
    { command: 'pass show token | wherry secret put token', what: 'from a program' },
  ],
  run: put,
};

export const secretList: Command = {
  name: 'secret list',
  summary: 'secrets by name: here, missing, and who wants them',
  description:
    'Lists the secrets of this device and those that the release in force wants. `missing`: a service waits for ' +
    'it. `unused`: no service of the release wants it. Contents are never shown.',
  operands: [],
  options: {},
  examples: [{ command: 'wherry secret list', what: 'look' }],
  run: list,
};

export const secretRemove: Command = {
  name: 'secret remove',
  summary: 'forget a secret of this device',
  description:
    'Removes a secret. Services that run keep their copy until they stop, and wait for it at their next start.',
  operands: ['name'],
  options: {},
  examples: [{ command: 'wherry secret remove token', what: 'forget it' }],
  run: remove,
};

async function put({ io, client, operands, options, isJson, print, printJson, say }: Call): Promise<number> {
  const name = operands[0] ?? '';
  const file = options['from-file'];
  if (file === undefined && io.stdin.isTTY)
    throw usage(`Cannot read secret "${name}" from the terminal: it would be shown; ${PIPE_IT}`, secretPut);
  const content = typeof file === 'string' ? await readFile(name, file) : await read(name, io.stdin);
  const answer = await client.putSecret(name, content, whoAsks(io.env));
  if (isJson) await printJson(answer);
  else await print([`${answer.secret}: put`]);
  for (const service of answer.services) await say(`${service} has it from its next start on`);
  if (answer.services.length === 0) await say('No service of the release in force wants it');
  return EXIT.ok;
}

async function list({ paint, client, isJson, print, printJson, say }: Call): Promise<number> {
  const answer = await client.secrets();
  if (isJson) await printJson(answer);
  else if (answer.secrets.length === 0) await say('There are no secrets, and no service wants one');
  else {
    const rows = answer.secrets.map(({ name, isHere, services }) => [
      printable(name),
      isHere ? (services.length > 0 ? 'here' : 'unused') : 'missing',
      services.length > 0 ? printable(services.join(', ')) : '-',
    ]);
    const columns = ['NAME', 'STATE', 'WANTED BY'].map((title) => ({ title, align: 'left' as const }));
    const [heading = '', ...lines] = layOutTable(columns, rows);
    await print([paint.dim(heading), ...lines]);
  }
  return EXIT.ok;
}

async function remove({ io, client, operands, isJson, print, printJson, say }: Call): Promise<number> {
  const answer = await client.removeSecret(operands[0] ?? '', whoAsks(io.env));
  if (isJson) await printJson(answer);
  else await print([`${answer.secret}: ${answer.result}`]);
  for (const service of answer.services) await say(`${service} wants it: it will not start again without it`);
  return EXIT.ok;
}

async function readFile(name: string, path: string): Promise<Buffer> {
  try {
    await using file = await open(path);
    return await read(name, file.createReadStream({ end: LOCAL_API_LIMITS.secretBytes }));
  } catch (error) {
    if (error instanceof CliError) throw error;
    const said = error instanceof Error ? error.message : String(error);
    throw usage(`Cannot read secret "${name}": ${said}`, secretPut);
  }
}

/** Never keeps more than the agent would. */
async function read(name: string, source: AsyncIterable<Uint8Array | string>): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of source) {
    parts.push(Buffer.from(part as Uint8Array));
    bytes += part.length;
    if (bytes > LOCAL_API_LIMITS.secretBytes)
      throw new CliError(
        'bad-secret',
        `Cannot keep secret "${name}": it has more than ${LOCAL_API_LIMITS.secretBytes} bytes`,
        ['Keep a key here, and the data that it opens in an image or a volume'],
      );
  }
  return Buffer.concat(parts);
}
