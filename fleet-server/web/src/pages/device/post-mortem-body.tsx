import type { PostMortem } from '../../api/types.ts';
import { bytes, cores } from '../../format/quantity.ts';
import { clock, dateTime } from '../../format/time.ts';
import { Fact, Facts } from '../../ui/facts.tsx';
import { Meter } from '../../ui/meter.tsx';

export function PostMortemBody({ postMortem }: { postMortem: PostMortem }) {
  return (
    <>
      <div className="post-mortem-facts">
        <How postMortem={postMortem} />
        <Use postMortem={postMortem} />
      </div>
      <Chain reasons={postMortem.reasons} />
      <Log log={postMortem.log} />
    </>
  );
}

function How({ postMortem }: { postMortem: PostMortem }) {
  const { at, release, exit, oomKilled, device, bootId } = postMortem;
  const pressures = [
    ['Device waited for memory', device?.memoryPressure],
    ['Device waited for I/O', device?.ioPressure],
    ['Device waited for CPU', device?.cpuPressure],
  ] as const;
  return (
    <section>
      <h3>How it ended</h3>
      <Facts>
        <Fact name="When">{dateTime(at)}</Fact>
        {release === undefined ? null : <Fact name="Release">{release}</Fact>}
        {exit ? (
          <Fact name="Exit">{exit.signal === undefined ? `code ${exit.code}` : `signal ${exit.signal}`}</Fact>
        ) : null}
        {oomKilled ? (
          <Fact name="Killed by the kernel">{`${oomKilled.command}, pid ${oomKilled.pid}`}</Fact>
        ) : null}
        {device ? <Fact name="Memory free on the device">{bytes(device.memoryAvailableBytes)}</Fact> : null}
        {pressures.map(([name, pressure]) =>
          pressure ? (
            <Fact key={name} name={name}>
              {pressure.some.toFixed(1)} %
            </Fact>
          ) : null,
        )}
        {device?.temperatureCelsius === undefined ? null : (
          <Fact name="Temperature">{device.temperatureCelsius.toFixed(1)} °C</Fact>
        )}
        {bootId === undefined ? null : (
          <Fact name="Boot">
            <code>{bootId.slice(0, 8)}</code>
          </Fact>
        )}
      </Facts>
    </section>
  );
}

const plain = (value: number) => String(value);

interface NamedProps {
  name: string;
  value: number;
  max: number;
  format: (value: number) => string;
}

function Named({ name, ...rest }: NamedProps) {
  return (
    <div>
      <span className="small soft">{name}</span>
      <Meter label={name} {...rest} />
    </div>
  );
}

function Use({ postMortem: { budget, usage, oomKills } }: { postMortem: PostMortem }) {
  if (!budget) return null;
  return (
    <section className="stack-tight">
      <h3>Its last use against its budget</h3>
      {usage ? (
        <>
          <Named name="Memory" value={usage.memoryBytes} max={budget.memoryMaxBytes} format={bytes} />
          <Named name="CPU, cores" value={usage.cpu} max={budget.cpuMax} format={cores} />
          <Named name="Processes" value={usage.pids} max={budget.pidsMax} format={plain} />
        </>
      ) : (
        <p className="soft small">
          It ended before it was measured. Its budget: {bytes(budget.memoryMaxBytes)} of memory,{' '}
          {cores(budget.cpuMax)} cores, {budget.pidsMax} processes.
        </p>
      )}
      <Facts>
        {usage?.memoryPeakBytes === undefined ? null : (
          <Fact name="Memory at its peak">{bytes(usage.memoryPeakBytes)}</Fact>
        )}
        {oomKills ? <Fact name="OOM kills so far">{oomKills}</Fact> : null}
      </Facts>
    </section>
  );
}

function Chain({ reasons }: { reasons: PostMortem['reasons'] }) {
  if (reasons.length === 0) return null;
  return (
    <section>
      <h3>What led to it, newest first</h3>
      <ol className="post-mortem-chain">
        {reasons.map(({ code, message, at, causes = [] }, index) => (
          // Two reasons may well be the same: only their place tells them apart.
          // biome-ignore lint/suspicious/noArrayIndexKey: the list never changes
          <li key={index} className="small">
            {message} <code className="code-tag">{code}</code>{' '}
            <span className="soft nowrap">{clock(at)}</span>
            {causes.map((cause) => (
              <span key={`${cause.code}-${cause.at}`} className="service-reason soft">
                because: {cause.message}
              </span>
            ))}
          </li>
        ))}
      </ol>
    </section>
  );
}

function Log({ log }: { log: PostMortem['log'] }) {
  return (
    <section>
      <h3>Its last lines</h3>
      {log.length === 0 ? (
        <p className="soft small">It wrote nothing, or nothing of it was kept.</p>
      ) : (
        <ol className="log-lines">
          {log.map(({ at, stream, text }, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: lines may repeat, and the list never changes
            <li key={index}>
              <span className="soft nowrap">{clock(at)}</span>
              <span className={stream === 'stderr' ? 'text-warn' : undefined}>{text}</span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
