/** Stands for every value that its test accepts. */
export class Like {
  readonly accepts: (actual: unknown) => boolean;
  constructor(accepts: (actual: unknown) => boolean) {
    this.accepts = accepts;
  }
}

/** Equal as `toEqual` has it: a property that is undefined is absent. `isPart`: as `toMatchObject` has it. */
export function isEqual(actual: unknown, wanted: unknown, isPart = false): boolean {
  if (wanted instanceof Like) return wanted.accepts(actual);
  if (Object.is(actual, wanted)) return true;
  if (typeof actual !== 'object' || typeof wanted !== 'object' || actual === null || wanted === null)
    return false;
  if (Array.isArray(wanted) !== Array.isArray(actual)) return false;
  if (Array.isArray(wanted) && Array.isArray(actual) && wanted.length !== actual.length) return false;
  const [left, right] = [actual as Record<string, unknown>, wanted as Record<string, unknown>];
  const names = new Set([...Object.keys(right), ...(isPart ? [] : Object.keys(left))]);
  return [...names].every((name) => isEqual(left[name], right[name], isPart));
}
