import type { ServiceMetrics } from '../../api/types.ts';
import { sampleIndices, summary } from '../../derive/chart.ts';
import { bytes, cores } from '../../format/quantity.ts';
import { clock } from '../../format/time.ts';

interface ChartTextProps {
  what: string;
  values: readonly number[];
  budget: number | undefined;
  format: (value: number) => string;
}

/** What the chart says, in words. */
export function ChartText({ what, values, budget, format }: ChartTextProps) {
  const sum = summary(values);
  if (!sum) return <>{what}: nothing measured</>;
  return (
    <>
      <strong>
        {what} {format(sum.last)}
      </strong>{' '}
      <span className="soft">
        {format(sum.least)} to {format(sum.most)}
        {budget === undefined ? '' : `, budget ${format(budget)}`}
      </span>
    </>
  );
}

const TABLE_ROWS = 15;

export function ChartTable({ metrics }: { metrics: ServiceMetrics }) {
  const { service, at, memoryBytes, cpu, pids } = metrics;
  return (
    <details className="chart-table">
      <summary>{`${service} as a table`}</summary>
      <table className="table table-dense">
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col" className="right">
              Memory
            </th>
            <th scope="col" className="right">
              CPU, cores
            </th>
            <th scope="col" className="right">
              Processes
            </th>
          </tr>
        </thead>
        <tbody>
          {sampleIndices(at.length, TABLE_ROWS)
            .reverse()
            .map((index) => (
              <tr key={at[index]}>
                <th scope="row">{clock(at[index] ?? 0)}</th>
                <td className="right">{bytes(memoryBytes[index] ?? 0)}</td>
                <td className="right">{cores(cpu[index] ?? 0)}</td>
                <td className="right">{pids[index] ?? 0}</td>
              </tr>
            ))}
        </tbody>
      </table>
    </details>
  );
}
