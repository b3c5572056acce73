import { Link } from 'wouter';
import { useRollout } from '../../api/queries.ts';
import type { Rollout } from '../../api/types.ts';
import { byUrgency, rolloutWord, type Tally, tally, tallySentence } from '../../derive/rollout.ts';
import { Announce } from '../../ui/announce.tsx';
import { Badge } from '../../ui/badge.tsx';
import { Load } from '../../ui/load.tsx';
import { PageHeader } from '../../ui/page-header.tsx';
import { Panel } from '../../ui/panel.tsx';
import { TallyBar } from '../../ui/tally-bar.tsx';
import { When } from '../../ui/when.tsx';
import { AttemptItem } from './attempt-item.tsx';
import { RulesPanel } from './rules-panel.tsx';

export function RolloutPage({ id }: { id: string }) {
  const query = useRollout(id);
  const rollout = query.data;
  return (
    <>
      <PageHeader
        title={rollout ? `${rollout.release.name} ${rollout.release.version}` : 'Rollout'}
        state={rollout ? <Badge word={rolloutWord(rollout)} /> : null}
        lead={rollout ? <Lead rollout={rollout} /> : null}
      />
      <Load query={query} lines={8}>
        {(detail) => <Body rollout={detail} />}
      </Load>
    </>
  );
}

function Lead({ rollout: { release, createdAt, createdBy } }: { rollout: Rollout }) {
  return (
    <p className="dotted">
      <span>
        rollout started <When at={createdAt} /> by {createdBy}
      </span>
      <span>
        <Link href={`/releases/${encodeURIComponent(release.id)}`}>show the release</Link>
      </span>
    </p>
  );
}

function Body({ rollout }: { rollout: Rollout }) {
  const sum = tally(rollout);
  return (
    <div className="stack">
      <Announce text={tallySentence(sum)} />
      <section className="panel counts-panel" aria-label="Overall">
        <TallyBar tally={sum} />
        <Counts tally={sum} />
      </section>
      <RulesPanel rollout={rollout} />
      <Panel title="Devices" isFlush>
        <ul className="attempts">
          {rollout.attempts.toSorted(byUrgency).map((attempt) => (
            <AttemptItem key={attempt.id} attempt={attempt} />
          ))}
        </ul>
      </Panel>
    </div>
  );
}

function Counts({ tally: { total, done, moving, waiting, failed, superseded } }: { tally: Tally }) {
  const counts = [
    { label: 'Devices', value: total, tone: '' },
    { label: 'Done', value: done, tone: done > 0 ? 'text-ok' : '' },
    { label: 'In progress', value: moving, tone: moving > 0 ? 'text-busy' : '' },
    { label: 'Waiting', value: waiting, tone: '' },
    { label: 'Failed', value: failed, tone: failed > 0 ? 'text-bad' : '' },
    ...(superseded > 0 ? [{ label: 'Superseded', value: superseded, tone: '' }] : []),
  ];
  return (
    <dl className="counts">
      {counts.map(({ label, value, tone }) => (
        <div key={label} className="count">
          <dt>{label}</dt>
          <dd className={tone}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
