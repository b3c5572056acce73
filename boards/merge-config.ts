/** A value that YAML can say. */
type Value = unknown;

const isObject = (value: Value): value is Record<string, Value> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What `own` adds to `base`: objects key by key, a list comes before the one it adds to; anything else is replaced. */
export function mergeConfig(base: Value, own: Value): Value {
  if (Array.isArray(base) && Array.isArray(own)) return [...own, ...base];
  if (!isObject(base) || !isObject(own)) return own;
  const merged = Object.entries(own).map(([key, value]) => [
    key,
    key in base ? mergeConfig(base[key], value) : value,
  ]);
  return { ...base, ...Object.fromEntries(merged) };
}
