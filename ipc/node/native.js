// The addon, its codes as errors, and which waits keep the process.
import { createRequire } from 'node:module';

/** What index.js, publisher.js and subscriber.js call; addon.c, publisher.c and subscriber.c have the arguments. */
export const native = createRequire(import.meta.url)('./wherry_ipc.node');

/** wherry_ipc.h */
export const CODES = {
  WIPC_EINVAL: -1,
  WIPC_ENOENT: -2,
  WIPC_EROLE: -3,
  WIPC_EFORMAT: -4,
  WIPC_EBUSY: -5,
  WIPC_ETOOBIG: -6,
  WIPC_EAGAIN: -7,
  WIPC_ENOMEM: -8,
  WIPC_ESYSTEM: -9,
};
const NAMES = new Map(Object.entries(CODES).map(([name, code]) => [code, name]));

export class WherryIpcError extends Error {
  constructor(message, code) {
    super(message);
    this.name = 'WherryIpcError';
    this.code = code;
  }
}

export function failure(action, object, code) {
  return new WherryIpcError(
    `Cannot ${action} ${object}: ${native.describe(code)}`,
    NAMES.get(code) ?? 'WIPC_EINVAL',
  );
}

export const misuse = (message) => new WherryIpcError(message, 'WIPC_EINVAL');

/** What to call when the subscriber of that number has messages. */
export const alarms = new Map();
native.begin((...ids) => {
  for (const id of ids) alarms.get(id)?.();
});

let keepers = 0;

/** A wait begins (1) or ends (-1) that the process shall not end before. */
export function keep(change) {
  const before = keepers;
  keepers += change;
  if ((before === 0) !== (keepers === 0)) native.keep(keepers > 0);
}
