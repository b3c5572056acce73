import { LIMITS } from '../../../protocol/limits.ts';
import type { Report } from '../../../protocol/messages.ts';
import type { Reason } from '../../../protocol/reasons.ts';
import type { ServiceStatus } from '../../../protocol/status.ts';

/** Room for the report in a publish; the rest is for its header and topic. */
export const REPORT_MAX_BYTES = LIMITS.publishBytes - 1024;

const TEXT_MAX = 1024;
const SHORT_TEXT = 96;

/** What a report gives up when it is too large, in this order; `wherry` on the device still tells all of it. */
const TRIMS: { what: string; apply(report: Report): Report }[] = [
  {
    what: 'causes of reasons',
    apply: (report) => withReasons(report, (reason) => without(reason, 'causes')),
  },
  {
    what: 'details of health checks and degradations',
    apply: (report) =>
      withServices(report, ({ degraded, health, ...service }) => ({
        ...service,
        ...(health && { health: { state: health.state, since: health.since } }),
        ...(degraded && { degraded: degraded.map(({ what, why }) => ({ what, why: cut(why, SHORT_TEXT) })) }),
      })),
  },
  {
    what: 'addresses, and use beyond memory, CPU and processes',
    apply: (report) =>
      withServices(report, ({ usage, ...service }) => ({
        ...without(service, 'addresses'),
        ...(usage && {
          usage: {
            memoryBytes: usage.memoryBytes,
            cpu: usage.cpu,
            pids: usage.pids,
            throttledMs: usage.throttledMs,
          },
        }),
      })),
  },
  {
    what: 'channels',
    apply: (report) => without(report, 'channels'),
  },
  {
    what: 'the ends of long messages',
    apply: (report) =>
      withReasons(report, (reason) => ({ ...reason, message: cut(reason.message, SHORT_TEXT) })),
  },
  {
    what: 'degradations',
    apply: (report) => withServices(report, (service) => without(service, 'degraded')),
  },
];

/** The report within its bound, and by name what it gave up for that. `sizeOf` is in bytes. */
export function fitReport(
  whole: Report,
  sizeOf: (report: Report) => number,
): { report: Report; trimmed: string[] } {
  let report = withReasons(whole, (reason) => ({ ...reason, message: cut(reason.message, TEXT_MAX) }));
  const trimmed: string[] = [];
  for (const { what, apply } of TRIMS) {
    if (sizeOf(report) <= REPORT_MAX_BYTES) break;
    report = apply(report);
    trimmed.push(what);
  }
  return { report, trimmed };
}

function withServices(report: Report, change: (service: ServiceStatus) => ServiceStatus): Report {
  return { ...report, services: report.services.map(change) };
}

function withReasons(report: Report, change: (reason: Reason) => Reason): Report {
  const { update, device } = report;
  const { shedding, faults } = device;
  return {
    ...withServices(report, (service) => ({ ...service, reason: change(service.reason) })),
    update: { ...update, ...(update.reason && { reason: change(update.reason) }) },
    device: {
      ...device,
      ...(shedding && { shedding: { ...shedding, reason: change(shedding.reason) } }),
      ...(faults && { faults: faults.map(change) }),
    },
  };
}

function without<T extends object, K extends keyof T>(whole: T, key: K): Omit<T, K> {
  const rest = { ...whole };
  delete rest[key];
  return rest;
}

/** The schema counts characters, not UTF-16 units. */
function cut(text: string, characters: number): string {
  if (text.length <= characters) return text;
  const all = [...text];
  return all.length <= characters ? text : `${all.slice(0, characters - 1).join('')}…`;
}
