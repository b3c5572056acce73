// Stands in for vitest inside an emulated board, where vitest itself takes a minute to start.
import { format } from 'node:util';

export { expect } from './expect.ts';

type Act = (...parts: never[]) => unknown;
type Hook = 'beforeAll' | 'afterAll' | 'beforeEach' | 'afterEach';

interface Suite {
  name: string;
  hooks: Record<Hook, (() => unknown)[]>;
  parts: (Suite | Test)[];
}
interface Test {
  name: string;
  act: () => unknown;
  isSkipped: boolean;
}
export interface Result {
  name: string;
  state: 'passed' | 'failed' | 'skipped';
  ms: number;
  message?: string;
}

const suite = (name: string): Suite => ({
  name,
  hooks: { beforeAll: [], afterAll: [], beforeEach: [], afterEach: [] },
  parts: [],
});
const open: Suite[] = [suite('')];
const current = (): Suite => open.at(-1) as Suite;

const hook = (kind: Hook) => (act: () => unknown) => void current().hooks[kind].push(act);
export const beforeAll = hook('beforeAll');
export const afterAll = hook('afterAll');
export const beforeEach = hook('beforeEach');
export const afterEach = hook('afterEach');

function addSuite(name: string, act: () => unknown): void {
  const added = suite(name);
  current().parts.push(added);
  open.push(added);
  act();
  open.pop();
}

const adder = (isSkipped: boolean) => (name: string, act: Act) =>
  void current().parts.push({ name, act: act as () => unknown, isSkipped });

/** `$name` of an object, or printf's `%s`, from one row of a table. */
const rowName = (name: string, row: unknown[]): string =>
  /\$\w/.test(name)
    ? name.replace(/\$(\w+)/g, (_all, key: string) => String((row[0] as Record<string, unknown>)[key]))
    : format(name, ...row.slice(0, (name.match(/%[sidjo]/g) ?? []).length));

const each =
  (add: (name: string, act: () => unknown) => void) =>
  (rows: readonly unknown[]) =>
  (name: string, act: (...row: unknown[]) => unknown) => {
    for (const row of rows) {
      const parts = Array.isArray(row) ? row : [row];
      add(rowName(name, parts), () => act(...parts));
    }
  };

export const describe = Object.assign(addSuite, { each: each(addSuite) });
export const test = Object.assign(adder(false), {
  each: each(adder(false)),
  skipIf: (isSkipped: boolean) => adder(isSkipped),
});

/** Runs everything that was declared, in order. `told` hears of each result as it comes. */
export async function runAll(
  isWanted: (name: string) => boolean,
  told: (result: Result) => void,
): Promise<void> {
  await runSuite(current(), [], isWanted, told);
}

async function runSuite(
  suite: Suite,
  above: readonly Suite[],
  isWanted: (name: string) => boolean,
  told: (result: Result) => void,
): Promise<void> {
  const path = [...above, suite];
  const title = (name: string): string =>
    [...path.map((each) => each.name), name].filter(Boolean).join(' > ');
  const failed = await attempt(() => inTurn(suite.hooks.beforeAll));
  for (const part of suite.parts) {
    if ('parts' in part) await runSuite(part, path, isWanted, told);
    else if (isWanted(title(part.name)))
      told({ name: title(part.name), ...(await runTest(part, path, failed)) });
  }
  const after = await attempt(() => inTurn(suite.hooks.afterAll));
  if (after !== undefined) told({ name: title('afterAll'), state: 'failed', ms: 0, message: after });
}

async function runTest(
  { act, isSkipped }: Test,
  path: readonly Suite[],
  failedBefore: string | undefined,
): Promise<Omit<Result, 'name'>> {
  if (isSkipped) return { state: 'skipped', ms: 0 };
  const from = performance.now();
  let message = failedBefore;
  message ??= await attempt(async () => {
    for (const { hooks } of path) await inTurn(hooks.beforeEach);
    await act();
  });
  const after = await attempt(async () => {
    for (const { hooks } of path.toReversed()) await inTurn(hooks.afterEach);
  });
  message ??= after;
  const ms = Math.round(performance.now() - from);
  return message === undefined ? { state: 'passed', ms } : { state: 'failed', ms, message };
}

async function inTurn(acts: readonly (() => unknown)[]): Promise<void> {
  for (const act of acts) await act();
}

async function attempt(act: () => Promise<void>): Promise<string | undefined> {
  try {
    await act();
    return undefined;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}
