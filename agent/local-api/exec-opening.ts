import type { ExecRequest } from './exec-port.ts';
import { fieldsOf, isName } from './request-body.ts';

export interface ExecOpening {
  request: ExecRequest;
  who: string;
}

const LIMITS = { arguments: 256, variables: 64, columns: 2_000, rows: 2_000 } as const;
const FIELDS = ['argv', 'terminal', 'user', 'workingDir', 'environment', 'by'];

/** What a caller of `exec` asks for, or what of it cannot be read, in one sentence. */
export function readOpening(content: Buffer): ExecOpening | string {
  const fields = fieldsOf(content);
  if (fields === undefined) return 'Cannot run it: the request is not a JSON object';
  const unknown = Object.keys(fields).find((name) => !FIELDS.includes(name));
  if (unknown !== undefined) return `Cannot run it: there is no field "${unknown}"`;
  const { argv, terminal, user, workingDir, environment, by = 'local' } = fields;
  if (!isArgv(argv))
    return `Cannot run it: "argv" is not a program and its arguments; wanted 1 to ${LIMITS.arguments} texts`;
  if (terminal !== undefined && !isTerminal(terminal))
    return `Cannot run it: "terminal" is not {"columns", "rows", "term"} of 1 to ${LIMITS.columns} columns and rows`;
  if (user !== undefined && !(typeof user === 'string' && /^\d{1,10}(:\d{1,10})?$/.test(user)))
    return 'Cannot run it: "user" is not a number, or two with a colon';
  if (workingDir !== undefined && !(isText(workingDir) && workingDir.startsWith('/')))
    return 'Cannot run it: "workingDir" is not an absolute path';
  if (environment !== undefined && !isEnvironment(environment))
    return `Cannot run it: "environment" is not up to ${LIMITS.variables} names with a text each`;
  if (typeof by !== 'string' || !isName(by)) return 'Cannot run it: "by" is not a name';
  const request: ExecRequest = {
    argv,
    ...(terminal !== undefined && { terminal }),
    ...(user !== undefined && { user }),
    ...(workingDir !== undefined && { workingDir }),
    ...(environment !== undefined && { environment }),
  };
  return { request, who: by };
}

/** Size of a terminal, of any JSON object that has one. */
export function sizeIn(value: Record<string, unknown>): { columns: number; rows: number } | undefined {
  const { columns, rows } = value;
  const isSize = isCount(columns, LIMITS.columns) && isCount(rows, LIMITS.rows);
  return isSize ? { columns, rows } : undefined;
}

const isText = (value: unknown): value is string => typeof value === 'string' && !value.includes('\0');

const isCount = (value: unknown, most: number): value is number =>
  Number.isInteger(value) && Number(value) >= 1 && Number(value) <= most;

const isArgv = (value: unknown): value is string[] =>
  Array.isArray(value) &&
  value.length >= 1 &&
  value.length <= LIMITS.arguments &&
  value.every(isText) &&
  value[0] !== '';

function isTerminal(value: unknown): value is NonNullable<ExecRequest['terminal']> {
  if (typeof value !== 'object' || value === null) return false;
  const { term, ...size } = value as Record<string, unknown>;
  const isTerm = typeof term === 'string' && /^[A-Za-z0-9][\w.+-]{0,63}$/.test(term);
  return isTerm && Object.keys(size).length === 2 && sizeIn(size) !== undefined;
}

function isEnvironment(value: unknown): value is Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const entries = Object.entries(value);
  return (
    entries.length <= LIMITS.variables &&
    entries.every(([name, text]) => /^[A-Za-z_]\w{0,127}$/.test(name) && isText(text))
  );
}
