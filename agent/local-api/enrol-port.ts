export interface EnrolAnswer {
  /** As the server named it. */
  device: string;
  tenant: string;
  /** Host and port of the fleet server. */
  server: string;
}

export interface EnrolRefused {
  refused: string;
  /** `enrol-refused`: it would be so again. `enrol-failed`: the server was not reached. */
  code: 'enrol-refused' | 'enrol-failed' | 'bad-body';
}

/** Takes a device that is in no fleet into one. */
export interface EnrolmentDesk {
  /** Durable when it resolves with an answer; the server takes over then. `name`: the device id wished for. */
  enrol(request: { join: string; name?: string; by: string }): Promise<EnrolAnswer | EnrolRefused>;
}
