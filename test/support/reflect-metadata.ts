/** The part of the Reflect metadata API that @peculiar/x509's container asks for; import it before that package. */
const held = new WeakMap<object, Map<string, unknown>>();
const keyOf = (key: unknown, property?: string | symbol) => `${String(key)}|${String(property)}`;
const get = (key: unknown, target: object, property?: string | symbol) =>
  held.get(target)?.get(keyOf(key, property));

Object.assign(Reflect, {
  getMetadata: get,
  getOwnMetadata: get,
  hasOwnMetadata: (key: unknown, target: object) => get(key, target) !== undefined,
  defineMetadata: (key: unknown, value: unknown, target: object, property?: string | symbol) => {
    const values = held.get(target) ?? new Map<string, unknown>();
    held.set(target, values.set(keyOf(key, property), value));
  },
});
