/** A program that somebody runs in the container of a service. It has the service's rights and none beyond them. */
export interface ExecRequest {
  /** Program and arguments; the program is looked for on the service's PATH. */
  argv: string[];
  /** Gives it a terminal of that size; without one stdout and stderr stay apart. `term`: the kind, as in TERM. */
  terminal?: { columns: number; rows: number; term: string };
  /** "uid" or "uid:gid"; no other than the service's own is had. */
  user?: string;
  /** Absolute path in the container; the service's own folder when not given. */
  workingDir?: string;
  /** Beside the service's own environment. */
  environment?: Record<string, string>;
}

export interface ExecSession {
  /** In the order in which it came; ends when the program has ended and nothing of it is left. Read slowly, it waits. */
  output: AsyncIterable<{ stream: 'stdout' | 'stderr'; data: Uint8Array }>;
  /** Resolves when the data is taken, or nobody is there to take it. */
  write(data: Uint8Array): Promise<void>;
  endInput(): void;
  /** In characters; without a terminal nothing happens. */
  resize(columns: number, rows: number): void;
  /** Ends the program and whatever it started, now. */
  close(): void;
  /** Resolves after the output has ended: 128 + n for signal n, 127 for a program not found, 126 for one that cannot be run. */
  exitCode: Promise<number>;
}

/** The runtime's side of it. */
export interface ContainerSessions {
  /** The container runs. Rejects when it does not, or when this device lacks what a terminal needs. */
  openSession(service: string, request: ExecRequest): Promise<ExecSession>;
}
