import { useState } from 'react';
import { useDeviceEvents } from '../../api/queries.ts';
import type { DeviceEvent } from '../../api/types.ts';
import { eventTone } from '../../format/event-tone.ts';
import { dateTime, localTimes } from '../../format/time.ts';
import { ToneIcon } from '../../ui/icon.tsx';
import { Load } from '../../ui/load.tsx';
import { Panel } from '../../ui/panel.tsx';
import { When } from '../../ui/when.tsx';

const FIRST_SHOWN = 12;

export function HistoryPanel({ id }: { id: string }) {
  const query = useDeviceEvents(id);
  return (
    <Panel title="History">
      <Load query={query} lines={6}>
        {({ items }) => <Events items={items} />}
      </Load>
    </Panel>
  );
}

function Events({ items }: { items: DeviceEvent[] }) {
  const [isAll, setIsAll] = useState(false);
  if (items.length === 0) {
    return <p className="soft">Nothing happened yet. Starts, stops and updates are listed here.</p>;
  }
  const newest = items.toSorted((a, b) => b.at - a.at);
  const shown = isAll ? newest : newest.slice(0, FIRST_SHOWN);
  return (
    <div className="stack">
      <ol className="events">
        {shown.map((event) => (
          <li key={event.id} className="event">
            <span className={`text-${eventTone(event.code)}`}>
              <ToneIcon tone={eventTone(event.code)} />
            </span>
            <span className="event-text">
              <Sentence event={event} />
              <code className="code-tag">{event.code}</code>
            </span>
            <span className="soft small" title={dateTime(event.at)}>
              <When at={event.at} />
            </span>
          </li>
        ))}
      </ol>
      {shown.length < newest.length ? (
        <button type="button" className="button" onClick={() => setIsAll(true)}>
          {`Show all ${newest.length}`}
        </button>
      ) : null}
    </div>
  );
}

/** Many a message begins with what it is about: that is said once. */
function Sentence({ event: { service, release, kind, message } }: { event: DeviceEvent }) {
  const subject = service ?? release ?? kind;
  const rest = message.startsWith(subject) ? message.slice(subject.length) : ` ${message}`;
  return (
    <>
      <strong>{subject}</strong>
      {localTimes(rest)}
    </>
  );
}
