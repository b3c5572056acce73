// Wherry channels for Node. Ships with wherry_ipc.node beside it, needs no package; index.d.ts says what holds.
import { failure, native, WherryIpcError } from './native.js';
import { Publisher } from './publisher.js';
import { Subscriber } from './subscriber.js';

export { Publisher, Subscriber, WherryIpcError };

export function listChannels({ dir, service } = {}) {
  const result = native.list(dir, service);
  if (typeof result === 'number') throw failure('list', 'channels', result);
  return result;
}

export const openPublisher = (channel, options) => new Publisher(channel, options);
export const openSubscriber = (channel, options) => new Subscriber(channel, options);
