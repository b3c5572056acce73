import type { DeviceMetrics, Report } from '../api/types.ts';

/** Replaces the item with the same id in its place; a new one goes first. */
export function upsert<T extends { id: string }>(items: readonly T[], item: T): T[] {
  const index = items.findIndex((each) => each.id === item.id);
  return index === -1 ? [item, ...items] : items.with(index, item);
}

/** How far back the charts look. */
export const METRICS_WINDOW_MS = 15 * 60_000;

/** Adds one report's use to the series and drops what has left the window. A report seen before adds nothing. */
export function appendReport(metrics: DeviceMetrics, report: Report): DeviceMetrics {
  const series = new Map(metrics.items.map((each) => [each.service, each]));
  for (const { name, usage } of report.services) {
    if (!usage) continue;
    const old = series.get(name) ?? { service: name, at: [], memoryBytes: [], cpu: [], pids: [] };
    if ((old.at.at(-1) ?? 0) >= report.at) continue;
    const first = old.at.findIndex((at) => at > report.at - METRICS_WINDOW_MS);
    const from = first === -1 ? old.at.length : first;
    series.set(name, {
      service: name,
      at: [...old.at.slice(from), report.at],
      memoryBytes: [...old.memoryBytes.slice(from), usage.memoryBytes],
      cpu: [...old.cpu.slice(from), usage.cpu],
      pids: [...old.pids.slice(from), usage.pids],
    });
  }
  return { items: [...series.values()] };
}

const gist = ({ update, services }: Report) =>
  JSON.stringify([
    update.phase,
    update.reason?.at,
    services.map(({ name, state, since }) => [name, state, since]),
  ]);

/** Whether something happened between two reports that the device also recorded as an event. */
export function hasNews(before: Report | null, after: Report): boolean {
  return before === null || gist(before) !== gist(after);
}
