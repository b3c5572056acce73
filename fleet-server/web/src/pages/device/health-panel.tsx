import type { DeviceHealth } from '../../api/types.ts';
import { bytes } from '../../format/quantity.ts';
import { duration } from '../../format/time.ts';
import { Fact, Facts } from '../../ui/facts.tsx';
import { Meter } from '../../ui/meter.tsx';
import { Panel } from '../../ui/panel.tsx';
import { ConditionFacts } from './condition-facts.tsx';

export function HealthPanel({ health }: { health: DeviceHealth | undefined }) {
  if (!health) {
    return (
      <Panel title="Health">
        <p className="soft">The device has not reported yet.</p>
      </Panel>
    );
  }
  const { memoryTotalBytes, memoryAvailableBytes, diskTotalBytes, diskFreeBytes, temperatureCelsius } =
    health;
  return (
    <Panel title="Health">
      <div className="stack">
        <div className="stack-tight">
          <h3 className="small">Memory</h3>
          <Meter
            label="Memory in use"
            value={memoryTotalBytes - memoryAvailableBytes}
            max={memoryTotalBytes}
            format={bytes}
          />
        </div>
        <div className="stack-tight">
          <h3 className="small">Disk</h3>
          <Meter
            label="Disk in use"
            value={diskTotalBytes - diskFreeBytes}
            max={diskTotalBytes}
            format={bytes}
          />
        </div>
        <Facts>
          <Fact name="Up for">{duration(health.uptimeMs)}</Fact>
          <Fact name="Load, 1 min">{health.load1.toFixed(2)}</Fact>
          <Fact name="Temperature">
            {temperatureCelsius === undefined ? 'no sensor' : `${temperatureCelsius.toFixed(1)} °C`}
          </Fact>
          <Fact name="Agent memory">{bytes(health.agentRssBytes)}</Fact>
          <ConditionFacts health={health} />
        </Facts>
      </div>
    </Panel>
  );
}
