import type { MakeBundle } from '../diagnostics/bundle/make-bundle.ts';
import type { Diagnosis } from '../diagnostics/core/finding.ts';
import type { DiagnoseOptions } from '../diagnostics/field.ts';
import type { LastKnown } from '../diagnostics/last-known.ts';
import type { LogLine, LogQuery } from '../local-api/ports.ts';

/** What can be had of this device without its agent. Loaded when it is wanted: most commands never do. */
export interface Field {
  diagnose(options: DiagnoseOptions): Promise<Diagnosis>;
  /** A support bundle in pieces. Throws before the first when it cannot be made. */
  bundle(options: MakeBundle): AsyncIterable<Uint8Array>;
  /** Throws when the configuration cannot be read. */
  lastKnown(configFile: string, signal: AbortSignal): Promise<LastKnown>;
  /** From the disk; undefined when nothing is kept of such a service. */
  logs(configFile: string, service: string, query: LogQuery): Promise<AsyncIterable<LogLine> | undefined>;
}

export const ownField: Field = {
  diagnose: async (options) => (await import('../diagnostics/field.ts')).diagnose(options),
  bundle: async function* (options) {
    yield* (await import('../diagnostics/bundle/make-bundle.ts')).makeBundle(options);
  },
  lastKnown: async (configFile, signal) =>
    (await import('../diagnostics/last-known.ts')).lastKnown(configFile, signal),
  logs: async (configFile, service, query) =>
    (await import('../diagnostics/kept-logs.ts')).keptLogs(configFile, service, query),
};
