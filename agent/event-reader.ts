import { once } from 'node:events';
import type { EventLedger } from './ledger/patient-ledger.ts';
import type { EventQuery, LocalEvent } from './local-api/event-port.ts';

/** What happened, oldest first, and with `follow` what comes then. Loaded when somebody asks. */
export async function* readEvents(
  ledger: EventLedger,
  { since, service, limit, follow, signal }: EventQuery,
): AsyncGenerator<LocalEvent> {
  const isWanted = (event: LocalEvent): boolean =>
    event.at >= (since ?? 0) && (service === undefined || event.service === service);
  const waiting = follow ? [] : ledger.waiting().filter(isWanted);
  // Those who follow are given each event once: when it is on disk.
  let [last] = ledger.list({ limit: 1 }).map(({ sequence }) => sequence);
  const stored = ledger.list({ since, service, limit }).map(({ event }) => event);
  yield* [...stored, ...waiting].slice(Math.max(0, stored.length + waiting.length - limit));
  if (!follow) return;
  const news = new EventTarget();
  const unwatch = ledger.watch(() => news.dispatchEvent(new Event('more')));
  try {
    while (!signal.aborted) {
      const more = once(news, 'more', { signal }).catch(() => undefined);
      for (const { sequence, event } of ledger.after(last ?? 0)) {
        last = sequence;
        if (isWanted(event)) yield event;
      }
      await more;
    }
  } finally {
    unwatch();
  }
}
