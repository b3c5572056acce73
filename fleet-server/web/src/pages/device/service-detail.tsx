import type { ServiceStatus } from '../../api/types.ts';
import { bytes } from '../../format/quantity.ts';
import { Fact, Facts } from '../../ui/facts.tsx';
import { When } from '../../ui/when.tsx';

/** Why a service is as it is: the reason, and below it what led to it, nearest first. */
export function Why({ service: { name, reason, since } }: { service: ServiceStatus }) {
  const line = (
    <>
      {reason.message} · <When at={since} />
    </>
  );
  const causes = reason.causes ?? [];
  if (causes.length === 0) return <span className="service-reason small soft">{line}</span>;
  return (
    <details className="service-reason small soft">
      <summary aria-label={`Why ${name}: ${reason.message}`}>{line}</summary>
      <ol className="causes">
        {causes.map(({ code, message, at }) => (
          <li key={`${code}-${at}`}>
            because: {message} · <When at={at} />
          </li>
        ))}
      </ol>
    </details>
  );
}

/** What this machine cannot hold of the service, and what the last check said. */
export function Shortfalls({ service: { degraded = [], health, logs } }: { service: ServiceStatus }) {
  return (
    <>
      {health?.state === 'unhealthy' && health.detail ? (
        <span className="service-reason small text-bad">Health check: {health.detail}</span>
      ) : null}
      {degraded.map(({ what, why }) => (
        <span className="service-reason small text-warn" key={what}>
          Not held: {what}, {why}
        </span>
      ))}
      {logs && logs.droppedBytes > 0 ? (
        <span className="service-reason small text-warn">
          At least {bytes(logs.droppedBytes)} of its logs dropped
        </span>
      ) : null}
    </>
  );
}

const percentOf = (some: number | undefined) => (some === undefined ? undefined : `${some.toFixed(1)} %`);
const sum = (first: number | undefined, second: number | undefined) =>
  first === undefined && second === undefined ? undefined : `${bytes(first ?? 0)} / ${bytes(second ?? 0)}`;

/** Use beyond the three budgets, as far as the device tells of it. */
export function MoreUse({ service: { name, usage, addresses } }: { service: ServiceStatus }) {
  const facts = [
    ['Memory at its peak', usage?.memoryPeakBytes === undefined ? undefined : bytes(usage.memoryPeakBytes)],
    ['Waits for memory', percentOf(usage?.memoryPressure?.some)],
    ['Waits for CPU', percentOf(usage?.cpuPressure?.some)],
    ['Waits for I/O', percentOf(usage?.ioPressure?.some)],
    ['Read / written', sum(usage?.ioReadBytes, usage?.ioWrittenBytes)],
    ['Received / sent', sum(usage?.networkReceivedBytes, usage?.networkSentBytes)],
    ['Writable layer', usage?.diskBytes === undefined ? undefined : bytes(usage.diskBytes)],
    ['Volumes', usage?.volumeBytes === undefined ? undefined : bytes(usage.volumeBytes)],
    ...Object.entries(addresses ?? {}).map(([network, address]) => [`On ${network}`, address] as const),
  ] as const;
  const known = facts.filter(([, text]) => text !== undefined);
  if (known.length === 0) return null;
  return (
    <details className="service-reason small soft">
      <summary aria-label={`More of ${name}`}>More use</summary>
      <Facts>
        {known.map(([what, text]) => (
          <Fact name={what} key={what}>
            {text}
          </Fact>
        ))}
      </Facts>
    </details>
  );
}
