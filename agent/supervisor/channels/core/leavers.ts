/** A running container, and the channels of its specification; undefined when nobody knows that any more. */
export interface ChannelUser {
  service: string;
  channels: readonly string[] | undefined;
}

/** A channel that was found on the machine. `peers`: services that its meta names; undefined when it is not whole. */
export interface FoundChannel {
  id: string;
  peers: readonly string[] | undefined;
}

/**
 * Channels that go: nobody wants them, and no container has them. A container of an unknown specification may have
 * every channel that names its service.
 */
export const leaversOf = (
  found: readonly FoundChannel[],
  wanted: ReadonlySet<string>,
  users: readonly ChannelUser[],
): string[] =>
  found
    .filter(({ id, peers = [] }) => {
      const isUsed = users.some(({ service, channels }) => channels?.includes(id) ?? peers.includes(service));
      return !wanted.has(id) && !isUsed;
    })
    .map(({ id }) => id);
