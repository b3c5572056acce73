import type { Release } from '../../api/types.ts';
import { bytes, cores, count } from '../../format/quantity.ts';
import { Panel } from '../../ui/panel.tsx';

type Service = Release['services'][number];

export function BudgetTable({ services }: { services: Service[] }) {
  const total = services.reduce((sum, { memoryMaxBytes }) => sum + memoryMaxBytes, 0);
  return (
    <Panel
      title="Services"
      aside={<span className="soft">{`${count(services.length, 'service')}, ${bytes(total)} in all`}</span>}
      isFlush
    >
      <table className="table cards" role="table">
        <caption className="visually-hidden">Services with their budgets</caption>
        <thead role="rowgroup">
          <tr role="row">
            <th role="columnheader" scope="col">
              Service
            </th>
            <th role="columnheader" scope="col" className="right">
              Memory
            </th>
            <th role="columnheader" scope="col" className="right">
              CPU, cores
            </th>
            <th role="columnheader" scope="col" className="right">
              Processes
            </th>
            <th role="columnheader" scope="col">
              Network
            </th>
            <th role="columnheader" scope="col" className="right">
              Layers
            </th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          {services.map((service) => (
            <tr role="row" key={service.name}>
              <th role="rowheader" scope="row" className="cell-main">
                {service.name}
                {termsOf(service).map((line) => (
                  <span className="service-reason small soft" key={line}>
                    {line}
                  </span>
                ))}
                {(service.loosenings ?? []).map((line) => (
                  <span className="service-reason small text-warn" key={line}>
                    {line}
                  </span>
                ))}
              </th>
              <td role="cell" data-label="Memory" className="right">
                {bytes(service.memoryMaxBytes)}
              </td>
              <td role="cell" data-label="CPU, cores" className="right">
                {cores(service.cpuMax)}
              </td>
              <td role="cell" data-label="Processes" className="right">
                {service.pidsMax}
              </td>
              <td role="cell" data-label="Network">
                <span>
                  {service.networks?.join(', ') ?? service.network}
                  {(service.ports ?? []).map((port) => (
                    <span className="service-reason small soft" key={port}>
                      {port}
                    </span>
                  ))}
                </span>
              </td>
              <td role="cell" data-label="Layers" className="right">
                {service.layers}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

/** What is asked for beside the budget, a line each. */
function termsOf({ kind, criticality, dependsOn = {}, health }: Service): string[] {
  const needs = Object.entries(dependsOn).map(([name, condition]) => `${name} is ${condition}`);
  return [
    ...(kind ? ['runs a WebAssembly module'] : []),
    ...(criticality ? [`criticality: ${criticality}`] : []),
    ...(needs.length > 0 ? [`starts when ${needs.join(' and ')}`] : []),
    ...(health ? [`health check: ${health}`] : []),
  ];
}
