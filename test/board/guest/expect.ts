import { AssertionError } from 'node:assert';
import { inspect } from 'node:util';
import { isEqual, Like } from './equality.ts';

type Check = (actual: unknown, ...wanted: never[]) => boolean;

const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));
const speaksOf = (text: string, wanted: string | RegExp | undefined): boolean =>
  wanted === undefined || (typeof wanted === 'string' ? text.includes(wanted) : wanted.test(text));

const CHECKS: Readonly<Record<string, Check>> = {
  toBe: (actual, wanted: unknown) => Object.is(actual, wanted),
  toEqual: (actual, wanted: unknown) => isEqual(actual, wanted),
  toMatchObject: (actual, wanted: unknown) => isEqual(actual, wanted, true),
  toContain: (actual, wanted: string) => (actual as string[] | string).includes(wanted),
  toMatch: (actual, wanted: string | RegExp) => speaksOf(String(actual), wanted),
  toHaveLength: (actual, wanted: number) => (actual as unknown[]).length === wanted,
  toBeDefined: (actual) => actual !== undefined,
  toBeUndefined: (actual) => actual === undefined,
  toBeNull: (actual) => actual === null,
  toBeGreaterThan: (actual, wanted: number) => (actual as number) > wanted,
  toBeGreaterThanOrEqual: (actual, wanted: number) => (actual as number) >= wanted,
  toBeLessThan: (actual, wanted: number) => (actual as number) < wanted,
  toBeLessThanOrEqual: (actual, wanted: number) => (actual as number) <= wanted,
  toThrow: (actual, wanted?: string | RegExp) => {
    try {
      (actual as () => void)();
    } catch (thrown) {
      return speaksOf(messageOf(thrown), wanted);
    }
    return false;
  },
};

function verdict(name: string, actual: unknown, wanted: unknown[], isNot: boolean, label?: string): void {
  const check = CHECKS[name] as ((actual: unknown, ...wanted: unknown[]) => boolean) | undefined;
  if (check === undefined)
    throw new Error(`Cannot check "${name}": test/board/guest/expect.ts has no such matcher`);
  if (check(actual, ...wanted) !== isNot) return;
  const message = [
    label ?? '',
    'expected',
    inspect(actual),
    isNot ? 'not' : '',
    name,
    ...wanted.map((each) => inspect(each)),
  ];
  throw new AssertionError({ message: message.filter(Boolean).join(' ') });
}

/** Each matcher by its name; with `isNot` each means its opposite. */
const matchers = (actual: unknown, isNot: boolean, label?: string): object =>
  new Proxy(
    {},
    {
      get: (_target, name: string) =>
        name === 'not'
          ? matchers(actual, true, label)
          : (...wanted: unknown[]) => verdict(name, actual, wanted, isNot, label),
    },
  );

/** The same of what a promise gives, or fails with. */
const later = (settled: Promise<unknown>, isRejection: boolean): object =>
  new Proxy(
    {},
    {
      get:
        (_target, name: string) =>
        async (...wanted: unknown[]) => {
          const value = await settled;
          verdict(name, isRejection && name === 'toThrow' ? thrower(value) : value, wanted, false);
        },
    },
  );

const thrower = (value: unknown) => (): never => {
  throw value;
};
const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => expect.unreachable('it did not fail'),
    (error: unknown) => error,
  );

/** As much of vitest's `expect` as the contract tests ask for. */
export function expect(actual: unknown, label?: string): object {
  const direct = matchers(actual, false, label);
  return new Proxy(direct, {
    get: (target, name: string) => {
      if (name === 'resolves') return later(Promise.resolve(actual), false);
      if (name === 'rejects') return later(rejection(actual as Promise<unknown>), true);
      return Reflect.get(target, name);
    },
  });
}

expect.unreachable = (why: string): never => {
  throw new AssertionError({ message: why });
};
expect.stringMatching = (wanted: RegExp) => new Like((actual) => wanted.test(String(actual)));
expect.stringContaining = (part: string) => new Like((actual) => String(actual).includes(part));
expect.arrayContaining = (parts: unknown[]) =>
  new Like((actual) => parts.every((part) => (actual as unknown[]).some((each) => isEqual(each, part))));
