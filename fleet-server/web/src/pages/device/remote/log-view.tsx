import { useEffect, useState } from 'react';
import { remotePaths } from '../../../api/endpoints.ts';
import { remoteEvents } from '../../../api/remote-stream.ts';
import type { RemoteEvent } from '../../../api/types.ts';
import { clock } from '../../../format/time.ts';
import { Failure } from '../../../ui/load.tsx';
import { Ended } from './ended.tsx';
import { useStickyEnd } from './sticky-end.ts';

type Line = Extract<RemoteEvent, { lines: unknown }>['lines'][number] & { key: number };
type End = Extract<RemoteEvent, { end: unknown }>['end'];

/** A browser shows no more with ease; the rest is in the bundle. */
const KEPT_LINES = 2_000;

/** The end of a service's log and what comes, for as long as it is on the page. */
export function LogView({ device, service }: { device: string; service: string }) {
  const [isFollowed, setIsFollowed] = useState(true);
  const { lines, end, error, isBegun } = useLog(device, service, isFollowed);
  const box = useStickyEnd(lines);
  return (
    <section className="stack-tight" aria-label={`Log of ${service}`}>
      <div className="remote-head">
        <label className="cluster small">
          <input
            type="checkbox"
            checked={isFollowed}
            onChange={(event) => setIsFollowed(event.target.checked)}
          />
          Follow
        </label>
        <span className="small soft" role="status">
          {state(lines.length, isFollowed && isBegun && !end)}
        </span>
      </div>
      {error ? <Failure error={error} /> : null}
      {lines.length === 0 ? null : (
        // A keyboard scrolls what has the focus.
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls
        <ol className="log-lines remote-log" ref={box} tabIndex={0} aria-label={`Lines of ${service}`}>
          {lines.map(({ key, at, stream, text }) => (
            <li key={key}>
              <span className="soft nowrap">{clock(at)}</span>
              <span className={stream === 'stderr' ? 'text-warn' : undefined}>{text}</span>
            </li>
          ))}
        </ol>
      )}
      {end ? <Ended {...end} /> : null}
    </section>
  );
}

function state(count: number, isLive: boolean): string {
  const lines = count === 0 ? 'nothing logged yet' : `${count} ${count === 1 ? 'line' : 'lines'}`;
  return isLive ? `Live, ${lines}` : lines;
}

function useLog(device: string, service: string, isFollowed: boolean) {
  const [lines, setLines] = useState<Line[]>([]);
  const [end, setEnd] = useState<End>();
  const [error, setError] = useState<Error>();
  const [isBegun, setIsBegun] = useState(false);
  useEffect(() => {
    const gone = new AbortController();
    let key = 0;
    setLines([]);
    setEnd(undefined);
    setError(undefined);
    setIsBegun(false);
    const path = remotePaths.logs(device, service, isFollowed);
    const read = async () => {
      for await (const event of remoteEvents({ method: 'GET', path, signal: gone.signal })) {
        if ('begun' in event) setIsBegun(true);
        if ('end' in event) setEnd(event.end);
        if (!('lines' in event)) continue;
        const fresh = event.lines.map((line) => ({ ...line, key: key++ }));
        setLines((old) => [...old, ...fresh].slice(-KEPT_LINES));
      }
    };
    read().catch((failure: Error) => {
      if (!gone.signal.aborted) setError(failure);
    });
    return () => gone.abort();
  }, [device, service, isFollowed]);
  return { lines, end, error, isBegun };
}
