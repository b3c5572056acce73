/** One value of the configuration, and where it comes from. */
export interface ConfigValue {
  /** "board.reserve.system", "mirrors[0]". */
  path: string;
  value: string | number | boolean | null;
  from: 'file' | 'default' | 'system image' | 'wherry.json';
}

/** Keys that the first boot of a board writes from its image, and from wherry.json: agent/first-boot. */
const BY_FIRST_BOOT: Record<string, ConfigValue['from']> = {
  board: 'system image',
  stateDir: 'system image',
  runDir: 'system image',
  socket: 'system image',
  trustRoot: 'system image',
  reboot: 'system image',
  name: 'wherry.json',
  join: 'wherry.json',
};

/** What the agent goes by. Secrets are cut out of it. `isBoard`: the first boot of a board wrote the file. */
export function effectiveConfig(
  given: Record<string, unknown>,
  defaults: Record<string, unknown>,
  isBoard: boolean,
): ConfigValue[] {
  return Object.entries({ ...defaults, ...given }).flatMap(([key, value]) => {
    const inFile = (isBoard ? BY_FIRST_BOOT[key] : undefined) ?? 'file';
    const own = Object.hasOwn(given, key) ? flat(key, value) : [];
    const preset = Object.hasOwn(defaults, key) ? flat(key, defaults[key]) : [];
    const absent = preset.filter(({ path }) => !own.some((leaf) => leaf.path === path));
    // A group of switches has a default for each; of anything else the file says all or nothing.
    const others = own.length === 0 || isGroup(defaults[key]) ? absent : [];
    return [
      ...own.map((leaf) => ({ ...leaf, from: inFile })),
      ...others.map((leaf) => ({ ...leaf, from: 'default' as const })),
    ];
  });
}

const isGroup = (value: unknown): boolean => typeof value === 'object' && value !== null;

function flat(path: string, value: unknown): Pick<ConfigValue, 'path' | 'value'>[] {
  if (Array.isArray(value)) {
    if (value.length === 0) return [{ path, value: '(none)' }];
    return value.flatMap((item, index) => flat(`${path}[${index}]`, item));
  }
  if (typeof value === 'object' && value !== null)
    return Object.entries(value).flatMap(([key, inner]) => flat(`${path}.${key}`, inner));
  return [{ path, value: withoutSecret(path, value as ConfigValue['value']) }];
}

const HIDDEN = '(hidden)';
const SECRET_KEY = /(?:token|secret|password|passphrase|psk)$/i;

function withoutSecret(path: string, value: ConfigValue['value']): ConfigValue['value'] {
  if (SECRET_KEY.test(path)) return HIDDEN;
  if (typeof value !== 'string') return value;
  // A join string without its token, an address without its password.
  return value
    .replace(/([#&?](?:t|token)=)[^&]*/g, `$1${HIDDEN}`)
    .replace(/^([a-z][a-z0-9+.-]*:\/\/[^/@:]*:)[^/@]*@/i, `$1${HIDDEN}@`);
}
