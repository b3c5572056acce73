import type { ServiceStatus } from '../../api/types.ts';
import { bytes, cores } from '../../format/quantity.ts';
import { HEALTH_WORDS, SERVICE_WORDS, THROTTLED_WORD } from '../../format/words.ts';
import { Badge } from '../../ui/badge.tsx';
import { Count } from '../../ui/count.tsx';
import { Meter } from '../../ui/meter.tsx';
import { Panel } from '../../ui/panel.tsx';
import { MoreUse, Shortfalls, Why } from './service-detail.tsx';

export function ServicesPanel({ services }: { services: ServiceStatus[] | undefined }) {
  if (!services || services.length === 0) {
    return (
      <Panel title="Services">
        <p className="soft">
          {services ? 'The release in force holds no service.' : 'The device has not reported yet.'}
        </p>
      </Panel>
    );
  }
  const running = services.filter(({ state }) => state === 'running').length;
  return (
    <Panel
      title="Services"
      aside={<span className="soft">{`${running} of ${services.length} running`}</span>}
      isFlush
    >
      <table className="table cards service-table" role="table">
        <caption className="visually-hidden">Services with their use against their budget</caption>
        <thead role="rowgroup">
          <tr role="row">
            <th role="columnheader" scope="col">
              Service
            </th>
            <th role="columnheader" scope="col">
              Memory
            </th>
            <th role="columnheader" scope="col">
              CPU, cores
            </th>
            <th role="columnheader" scope="col">
              Processes
            </th>
            <th role="columnheader" scope="col" className="right">
              Restarts
            </th>
            <th role="columnheader" scope="col" className="right">
              OOM kills
            </th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          {services.map((service) => (
            <ServiceRow key={service.name} service={service} />
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

const plain = (value: number) => String(value);

function ServiceRow({ service }: { service: ServiceStatus }) {
  const { name, kind, state, health, isThrottled, restarts, oomKills, budget, usage } = service;
  // One word says both.
  const isWell = state === 'running' && health?.state === 'healthy';
  return (
    <tr role="row">
      <th role="rowheader" scope="row" className="cell-main">
        <span className="cluster">
          <strong>{name}</strong>
          {kind ? <span className="soft small">WebAssembly</span> : null}
          {isWell ? null : <Badge word={SERVICE_WORDS[state]} />}
          {health ? <Badge word={HEALTH_WORDS[health.state]} /> : null}
          {isThrottled ? <Badge word={THROTTLED_WORD} /> : null}
        </span>
        <Why service={service} />
        <Shortfalls service={service} />
        <MoreUse service={service} />
      </th>
      <td role="cell" data-label="Memory">
        <Meter
          label={`Memory of ${name}`}
          value={usage?.memoryBytes}
          max={budget.memoryMaxBytes}
          format={bytes}
        />
      </td>
      <td role="cell" data-label="CPU, cores">
        <Meter label={`CPU of ${name}`} value={usage?.cpu} max={budget.cpuMax} format={cores} />
      </td>
      <td role="cell" data-label="Processes">
        <Meter label={`Processes of ${name}`} value={usage?.pids} max={budget.pidsMax} format={plain} />
      </td>
      <td role="cell" data-label="Restarts" className="right">
        <Count value={restarts} tone="warn" />
      </td>
      <td role="cell" data-label="OOM kills" className="right">
        <Count value={oomKills} tone="bad" />
      </td>
    </tr>
  );
}
