import { Link } from 'wouter';
import { useRollouts } from '../../api/queries.ts';
import type { Rollout } from '../../api/types.ts';
import { rolloutWord, tally, tallySentence } from '../../derive/rollout.ts';
import { Badge } from '../../ui/badge.tsx';
import { Empty } from '../../ui/empty.tsx';
import { Load } from '../../ui/load.tsx';
import { PageHeader } from '../../ui/page-header.tsx';
import { TallyBar } from '../../ui/tally-bar.tsx';
import { When } from '../../ui/when.tsx';

export function RolloutsPage() {
  const query = useRollouts();
  return (
    <>
      <PageHeader
        title="Rollouts"
        lead="A rollout says which devices shall run a release; each device then moves by itself"
        actions={
          <Link className="button button-main" href="/rollouts/new">
            New rollout
          </Link>
        }
      />
      <Load query={query} lines={6}>
        {({ items }) => (items.length === 0 ? <NoRollouts /> : <RolloutTable rollouts={items} />)}
      </Load>
    </>
  );
}

function NoRollouts() {
  return (
    <Empty title="No rollout yet">
      <p className="soft">Choose a release and the devices that shall run it.</p>
    </Empty>
  );
}

function RolloutTable({ rollouts }: { rollouts: Rollout[] }) {
  const newest = rollouts.toSorted((a, b) => b.createdAt - a.createdAt);
  return (
    <table className="table cards rollout-table" role="table">
      <caption className="visually-hidden">Rollouts, newest first</caption>
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col">
            Release
          </th>
          <th role="columnheader" scope="col">
            State
          </th>
          <th role="columnheader" scope="col">
            Devices
          </th>
          <th role="columnheader" scope="col" className="right">
            Started
          </th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        {newest.map((rollout) => (
          <RolloutRow key={rollout.id} rollout={rollout} />
        ))}
      </tbody>
    </table>
  );
}

function RolloutRow({ rollout }: { rollout: Rollout }) {
  const { id, release, createdAt, createdBy } = rollout;
  const sum = tally(rollout);
  return (
    <tr role="row" className="row-link">
      <th role="rowheader" scope="row" className="cell-main">
        <Link href={`/rollouts/${encodeURIComponent(id)}`}>
          {release.name} {release.version}
        </Link>
        <span className="under small soft">by {createdBy}</span>
      </th>
      <td role="cell" data-label="State">
        <Badge word={rolloutWord(rollout)} />
      </td>
      <td role="cell" data-label="Devices">
        <span className="rollout-progress">
          <TallyBar tally={sum} />
          <span className="small">{tallySentence(sum)}</span>
        </span>
      </td>
      <td role="cell" data-label="Started" className="right">
        <When at={createdAt} />
      </td>
    </tr>
  );
}
