/** The parts of wherry.json and of the agent's configuration that are decided over here. */
export interface Wishes {
  name: string;
  server?: string | undefined;
}

export interface SetupFacts<Config extends object> {
  wishes: Wishes;
  /** The signer's first root as it lies beside wherry.json; undefined when it does not. */
  root: string | undefined;
  /** What earlier boots have left; undefined at the first. */
  held: { config: Config | undefined; root: string | undefined };
  /** The board's own part of the configuration, from the system image. */
  board: object;
  isEnrolled: boolean;
}

/** What the board is to hold from now on. */
export interface Setup {
  kind: 'set';
  config: object;
  /** Only at the first time: trust begins once. */
  root: string | undefined;
  /** wherry.json without its secret; undefined when it has none, or is still needed. */
  withoutSecret: Wishes | undefined;
  notes: string[];
}

/** What a person has to mend, in their words; nothing is changed. */
export interface Refused {
  kind: 'refused';
  what: string;
}

/**
 * The configuration of a board's agent from what somebody put on its first partition. Whatever else stands in the
 * configuration that is held stays: it was written by hand. `/etc/wherry/agent.json` in docs/device.md.
 */
export function boardSetup<Config extends object>(facts: SetupFacts<Config>): Setup | Refused {
  const { wishes, root, held, board, isEnrolled } = facts;
  if (root === undefined && held.root === undefined)
    return {
      kind: 'refused',
      what: "root.json is not there; wanted the signer's first root (repository/1.root.json of its keys) beside wherry.json",
    };
  const { server, ...others } = wishes;
  const { join: _, ...kept } = (held.config ?? {}) as { join?: string };
  const config = {
    ...kept,
    ...board,
    name: wishes.name,
    ...(server !== undefined && !isEnrolled && { join: server }),
  };
  const notes: string[] = [];
  if (root !== undefined && held.root !== undefined && root !== held.root)
    notes.push('root.json is another than the one this board began with, and is not used');
  if (server === undefined && !isEnrolled)
    notes.push('wherry.json names no server: this board joins no fleet and takes releases from a stick');
  return {
    kind: 'set',
    config,
    root: held.root === undefined ? root : undefined,
    withoutSecret: server !== undefined && isEnrolled ? others : undefined,
    notes,
  };
}
