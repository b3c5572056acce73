import type { DeviceSummary, Release } from '../../api/types.ts';
import { runs } from '../../derive/deploy.ts';
import { count } from '../../format/quantity.ts';
import { Fact, Facts } from '../../ui/facts.tsx';
import { UpdateSizes } from './update-sizes.tsx';

/** Longer lists of names are cut: the boxes above show each one. */
const NAMES_SHOWN = 6;

interface ReviewProps {
  release: Release;
  devices: DeviceSummary[];
  rules: string[];
}

export function Review({ release, devices, rules }: ReviewProps) {
  const names = devices.slice(0, NAMES_SHOWN).map(({ id }) => id);
  const more = devices.length - names.length;
  const offline = devices.filter(({ isOnline }) => !isOnline).length;
  const already = devices.filter((device) => runs(device, release)).length;
  return (
    <section className="panel picker" aria-labelledby="review">
      <h2 id="review" className="picker-title">
        <span className="picker-number" aria-hidden="true">
          4
        </span>{' '}
        Review
      </h2>
      <div className="panel-body">
        <Facts>
          <Fact name="Release">
            {release.name} {release.version}
          </Fact>
          <Fact name="Devices">{more > 0 ? `${names.join(', ')} and ${more} more` : names.join(', ')}</Fact>
          <Fact name="To send">
            <UpdateSizes release={release} devices={devices} />
          </Fact>
          {offline > 0 ? (
            <Fact name="Offline">{`${count(offline, 'device')}, updated when back`}</Fact>
          ) : null}
          <Fact name="Rules">
            <Rules rules={rules} />
          </Fact>
          {already > 0 ? <Fact name="Run it already">{count(already, 'device')}</Fact> : null}
        </Facts>
        <p className="soft small">
          Each device checks the signature and its own budgets, switches all services at once and rolls back
          by itself if they do not stay up.
        </p>
      </div>
    </section>
  );
}

function Rules({ rules }: { rules: string[] }) {
  if (rules.length === 0) return 'As soon as it is ready';
  return (
    <ul className="rule-list">
      {rules.map((rule) => (
        <li key={rule}>{rule}</li>
      ))}
    </ul>
  );
}
