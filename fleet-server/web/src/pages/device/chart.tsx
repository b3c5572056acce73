import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { ceiling } from '../../derive/chart.ts';
import { bytes } from '../../format/quantity.ts';
import { METRICS_WINDOW_MS } from '../../live/patch.ts';
import { chartColours, useThemeChange } from './chart-colours.ts';

interface ChartProps {
  /** Where the time axis ends, the same for every chart of the page; Unix milliseconds. */
  endAt: number;
  /** Unix milliseconds, ascending. */
  at: readonly number[];
  values: readonly number[];
  budget: number | undefined;
  /** Bytes, with ticks at powers of two, instead of round decimals. */
  isBinary?: boolean;
}

const HEIGHT = 132;
const AXIS_WIDTH = 66;

export default function Chart({ endAt, at, values, budget, isBinary = false }: ChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const latest = useRef({ endAt, at, values, budget });
  const theme = useThemeChange();
  latest.current = { endAt, at, values, budget };

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const chart = new uPlot(
      options(element.clientWidth, isBinary, () => latest.current),
      toData(latest.current),
      element,
    );
    plot.current = chart;
    const observer = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.destroy();
    };
  }, [theme, isBinary]);

  useEffect(() => {
    plot.current?.setData(toData({ endAt, at, values, budget }));
  }, [endAt, at, values, budget]);

  return <div className="chart" ref={host} aria-hidden="true" />;
}

/** uPlot counts time in seconds. The budget is a second, flat series, and begins where the axis does. */
function toData({ endAt, at, values, budget }: ChartProps): uPlot.AlignedData {
  const times = [Math.min(endAt - METRICS_WINDOW_MS, at[0] ?? endAt), ...at];
  return [times.map((ms) => ms / 1_000), [null, ...values], times.map(() => budget ?? null)];
}

/** One value alone makes no line. */
const isLonely = ({ data }: uPlot): boolean => data[0].length <= 2;

const POWERS_OF_TWO = Array.from({ length: 44 }, (_, exponent) => 2 ** exponent);

function options(width: number, isBinary: boolean, latest: () => ChartProps): uPlot.Options {
  const colours = chartColours();
  const axis = { stroke: colours.soft, font: `11px ${colours.font}`, ticks: { show: false } } as const;
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    // On the right there is room for half a label of the last tick.
    padding: [8, 18, 0, 0],
    scales: {
      x: {
        range: () => {
          const end = latest().endAt;
          return [(end - METRICS_WINDOW_MS) / 1_000, end / 1_000];
        },
      },
      y: { range: () => [0, ceiling(latest().values, latest().budget ?? 0) || 1] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 24,
        space: 70,
        values: (_, ticks) => ticks.map((tick) => new Date(tick * 1_000).toTimeString().slice(0, 5)),
      },
      {
        ...axis,
        grid: { stroke: colours.line, width: 1 },
        size: AXIS_WIDTH,
        space: 22,
        ...(isBinary ? { incrs: POWERS_OF_TWO } : {}),
        values: (_, ticks) =>
          ticks.map((tick) => (isBinary ? bytes(tick) : String(Number(tick.toPrecision(3))))),
      },
    ],
    series: [
      {},
      {
        stroke: colours.accent,
        width: 1.75,
        fill: colours.wash,
        points: { show: isLonely, size: 6, fill: colours.accent },
      },
      { stroke: colours.warn, width: 1.5, dash: [6, 4], points: { show: false } },
    ],
  };
}
