import { useQuery } from '@tanstack/react-query';
import { api } from '../../../api/endpoints.ts';
import type { WhyAnswer } from '../../../api/types.ts';
import { clock, dateTime, localTimes } from '../../../format/time.ts';
import { Load } from '../../../ui/load.tsx';

/** What the device itself says of a service, asked anew each time it is opened. */
export function WhyView({ device, service }: { device: string; service: string }) {
  const query = useQuery({
    queryKey: ['remote-why', device, service],
    queryFn: () => api.why(device, service),
    staleTime: 0,
    gcTime: 0,
    refetchOnWindowFocus: false,
    retry: false,
  });
  return (
    <section className="stack-tight" aria-label={`Why ${service} is as it is`}>
      <Load query={query} lines={4}>
        {(why) => <Chain why={why} />}
      </Load>
      <p>
        <button
          type="button"
          className="button"
          disabled={query.isFetching}
          onClick={() => void query.refetch()}
        >
          Ask again
        </button>
      </p>
    </section>
  );
}

function Chain({ why: { service, state, since, reasons } }: { why: WhyAnswer }) {
  return (
    <>
      <p>
        <strong>{service}</strong>
        {state ? ` is ${state.replaceAll('_', ' ')}` : ''}
        {since ? <span className="soft"> since {dateTime(since)}</span> : null}
      </p>
      {reasons.length === 0 ? <p className="soft">The device keeps no reason.</p> : null}
      <ol className="post-mortem-chain">
        {reasons.map(({ code, message, at, causes = [] }, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: two may be the same, and the list never changes
          <li key={index} className="small">
            {localTimes(message)} <code className="code-tag">{code}</code>{' '}
            <span className="soft nowrap">{clock(at)}</span>
            {causes.map((cause) => (
              <span key={`${cause.code}-${cause.at}`} className="service-reason soft">
                because: {cause.message}
              </span>
            ))}
          </li>
        ))}
      </ol>
    </>
  );
}
