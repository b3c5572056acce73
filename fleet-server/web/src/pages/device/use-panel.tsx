import { lazy, Suspense, useState } from 'react';
import { useDeviceMetrics } from '../../api/queries.ts';
import type { DeviceMetrics, ServiceMetrics, ServiceStatus } from '../../api/types.ts';
import { bytes, cores } from '../../format/quantity.ts';
import { Load } from '../../ui/load.tsx';
import { Panel } from '../../ui/panel.tsx';
import { ChartTable, ChartText } from './chart-text.tsx';

/** The figures stand beside each chart in words: without the chart's code the page goes on. */
const Chart = lazy(() => import('./chart.tsx').catch(() => ({ default: NoChart })));

function NoChart() {
  return <p className="chart small soft">The chart could not be loaded; the table below has its figures.</p>;
}

/** With more services than this, one is shown at a time: each chart is redrawn with every report. */
const ALL_SHOWN = 4;

export function UsePanel({ id, services }: { id: string; services: ServiceStatus[] }) {
  const query = useDeviceMetrics(id);
  return (
    <Panel title="Use over the last 15 minutes">
      <Load query={query} lines={6}>
        {(metrics) => <Series metrics={metrics} services={services} />}
      </Load>
    </Panel>
  );
}

function Series({ metrics, services }: { metrics: DeviceMetrics; services: ServiceStatus[] }) {
  const [chosen, setChosen] = useState<string>();
  const series = metrics.items.filter(({ at }) => at.length > 0);
  if (series.length === 0) {
    return (
      <p className="soft">
        Nothing was measured in this time. A device reports every few seconds while it is online.
      </p>
    );
  }
  const endAt = Math.max(...series.map(({ at }) => at.at(-1) ?? 0));
  const isChoice = series.length > ALL_SHOWN;
  const name = chosen ?? series[0]?.service;
  const shown = isChoice ? series.filter(({ service }) => service === name) : series;
  return (
    <div className="stack">
      {isChoice ? (
        <label className="field">
          <span>Service</span>
          <select className="input" value={name} onChange={(event) => setChosen(event.target.value)}>
            {series.map(({ service }) => (
              <option key={service}>{service}</option>
            ))}
          </select>
        </label>
      ) : null}
      {shown.map((each) => (
        <ServiceCharts
          key={each.service}
          endAt={endAt}
          metrics={each}
          budget={services.find((service) => service.name === each.service)?.budget}
        />
      ))}
    </div>
  );
}

interface ServiceChartsProps {
  endAt: number;
  metrics: ServiceMetrics;
  budget: ServiceStatus['budget'] | undefined;
}

function ServiceCharts({ endAt, metrics, budget }: ServiceChartsProps) {
  const { service, at, memoryBytes, cpu } = metrics;
  const charts = [
    { what: 'Memory', values: memoryBytes, max: budget?.memoryMaxBytes, format: bytes, isBinary: true },
    { what: 'CPU, cores', values: cpu, max: budget?.cpuMax, format: cores, isBinary: false },
  ];
  return (
    <section className="use" aria-label={`Use of ${service}`}>
      <h3>{service}</h3>
      <div className="use-charts">
        {charts.map(({ what, values, max, format, isBinary }) => (
          <figure key={what} className="stack-tight">
            <figcaption className="small">
              <ChartText
                what={(at.at(-1) ?? 0) < endAt ? `${what}, last seen:` : what}
                values={values}
                budget={max}
                format={format}
              />
            </figcaption>
            <Suspense fallback={<div className="chart" />}>
              <Chart endAt={endAt} at={at} values={values} budget={max} isBinary={isBinary} />
            </Suspense>
          </figure>
        ))}
      </div>
      <ChartTable metrics={metrics} />
    </section>
  );
}
