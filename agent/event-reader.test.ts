import { expect, test } from 'vitest';
import { readEvents } from './event-reader.ts';
import type { EventLedger } from './ledger/patient-ledger.ts';
import type { LocalEvent } from './local-api/event-port.ts';

const event = (at: number, service = 'web'): LocalEvent => ({
  kind: 'service',
  service,
  code: 'exit.code',
  message: `${at}`,
  at,
});

/** A ledger in memory, as the one on disk answers. */
function ledgerOf(...events: LocalEvent[]) {
  const rows = events.map((each, index) => ({ sequence: index + 1, event: each }));
  const watchers = new Set<() => void>();
  const ledger: EventLedger = {
    list: ({ since = 0, service, limit }) =>
      limit === 0
        ? []
        : rows
            .filter(({ event: { at, service: of } }) => at >= since && (service ?? of) === of)
            .slice(-limit),
    after: (sequence) => rows.filter((row) => row.sequence > sequence),
    waiting: () => [event(9)],
    watch: (run) => {
      watchers.add(run);
      return () => void watchers.delete(run);
    },
  };
  const add = (next: LocalEvent): void => {
    rows.push({ sequence: rows.length + 1, event: next });
    for (const run of watchers) run();
  };
  return { ledger, add, watchers };
}

const { signal } = new AbortController();
const all = async (events: AsyncIterable<LocalEvent>): Promise<string[]> => {
  const seen: string[] = [];
  for await (const { message } of events) seen.push(message);
  return seen;
};

test('the last ones, what the disk has not taken at the end', async () => {
  const { ledger } = ledgerOf(event(1), event(2, 'api'), event(3));
  expect(await all(readEvents(ledger, { limit: 99, follow: false, signal }))).toEqual(['1', '2', '3', '9']);
  expect(await all(readEvents(ledger, { limit: 2, follow: false, signal }))).toEqual(['3', '9']);
  expect(
    await all(readEvents(ledger, { limit: 99, since: 3, service: 'web', follow: false, signal })),
  ).toEqual(['3', '9']);
  expect(await all(readEvents(ledger, { limit: 99, service: 'api', follow: false, signal }))).toEqual(['2']);
});

test('who follows gets each event once, of the service that was asked for, and leaves nothing behind', async () => {
  const { ledger, add, watchers } = ledgerOf(event(1), event(2));
  const gone = new AbortController();
  const seen: string[] = [];
  const query = { limit: 1, service: 'web', follow: true, signal: gone.signal };
  for await (const { message } of readEvents(ledger, query)) {
    seen.push(message);
    if (message === '2') {
      // While the reader is busy with one, several more come.
      setImmediate(() => {
        add(event(3));
        add(event(4, 'api'));
        add(event(5));
      });
    }
    if (message === '5') gone.abort();
  }
  expect(seen).toEqual(['2', '3', '5']);
  expect(watchers.size).toBe(0);
});
