import type { DeviceHealth } from '../../api/types.ts';
import { bytes } from '../../format/quantity.ts';
import { BOOT_WORDS, CLOCK_WORDS } from '../../format/words.ts';
import { Fact } from '../../ui/facts.tsx';
import { Notice } from '../../ui/notice.tsx';
import { When } from '../../ui/when.tsx';

const PRESSURES = [
  ['memoryPressure', 'Waits for memory'],
  ['ioPressure', 'Waits for I/O'],
  ['cpuPressure', 'Waits for CPU'],
] as const;

/** What the device tells of its power, cooling, storage, clock and boot, as far as it knows. */
export function ConditionFacts({ health }: { health: DeviceHealth }) {
  const { throttling, storage, clock, boot } = health;
  return (
    <>
      {PRESSURES.map(([key, name]) => {
        const pressure = health[key];
        return pressure ? (
          <Fact key={key} name={name}>
            {pressure.some.toFixed(1)} %
          </Fact>
        ) : null;
      })}
      {throttling ? <Fact name="Power and cooling">{throttlingText(throttling)}</Fact> : null}
      {storage ? <Fact name="Written to storage">{bytes(storage.writtenBytes)}</Fact> : null}
      {storage?.writtenBytesPerDay === undefined ? null : (
        <Fact name="Written a day">{bytes(storage.writtenBytesPerDay)}</Fact>
      )}
      {storage?.lifeUsedPercent === undefined ? null : (
        <Fact name="Storage worn">{storage.lifeUsedPercent} %</Fact>
      )}
      {storage?.daysLeft === undefined ? null : (
        <Fact name="Storage lasts">{storage.daysLeft} days at this pace</Fact>
      )}
      {clock ? <Fact name="Clock">{CLOCK_WORDS[clock.state]}</Fact> : null}
      {boot ? (
        <Fact name="Booted">
          {BOOT_WORDS[boot.reason]}, <When at={boot.at} />
        </Fact>
      ) : null}
    </>
  );
}

function throttlingText({ now, sinceBoot }: NonNullable<DeviceHealth['throttling']>): string {
  if (now.length > 0) return `now ${now.join(', ')}`;
  return sinceBoot.length > 0 ? `well; since boot ${sinceBoot.join(', ')}` : 'well';
}

/** Load that is being shed and parts of the agent that are not well. */
export function ConditionNotices({ health }: { health: DeviceHealth | undefined }) {
  return (
    <>
      {health?.shedding && health.shedding.level > 0 ? (
        <Notice tone="warn" title="The device sheds load">
          <p>
            {health.shedding.reason.message} · <When at={health.shedding.reason.at} />
          </p>
        </Notice>
      ) : null}
      {(health?.faults ?? []).map(({ code, message, at }) => (
        <Notice tone="bad" title="Part of the agent is not well" key={`${code}-${at}`}>
          <p>
            {message} · <When at={at} />
          </p>
        </Notice>
      ))}
    </>
  );
}
