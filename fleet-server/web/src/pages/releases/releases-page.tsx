import { Link } from 'wouter';
import { useReleases } from '../../api/queries.ts';
import type { Release } from '../../api/types.ts';
import { bytes, count, shortDigest } from '../../format/quantity.ts';
import { Boards } from '../../ui/boards.tsx';
import { Empty } from '../../ui/empty.tsx';
import { Load } from '../../ui/load.tsx';
import { PageHeader } from '../../ui/page-header.tsx';
import { When } from '../../ui/when.tsx';

export function ReleasesPage() {
  const query = useReleases();
  return (
    <>
      <PageHeader title="Releases" lead="Signed on another machine; the server checks and keeps them" />
      <Load query={query} lines={6}>
        {({ items }) => (items.length === 0 ? <NoReleases /> : <ReleaseTable releases={items} />)}
      </Load>
    </>
  );
}

function NoReleases() {
  return (
    <Empty title="No release yet">
      <p className="soft">Build, sign and push one from the machine that holds the release keys:</p>
      <pre className="mono">{'wherry release build\nwherry release sign\nwherry release push'}</pre>
    </Empty>
  );
}

function ReleaseTable({ releases }: { releases: Release[] }) {
  const newest = releases.toSorted((a, b) => b.uploadedAt - a.uploadedAt);
  return (
    <table className="table cards release-table" role="table">
      <caption className="visually-hidden">Releases, newest first</caption>
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col">
            Release
          </th>
          <th role="columnheader" scope="col">
            Boards
          </th>
          <th role="columnheader" scope="col" className="right">
            Services
          </th>
          <th role="columnheader" scope="col" className="right">
            Size
          </th>
          <th role="columnheader" scope="col" className="right">
            Runs on
          </th>
          <th role="columnheader" scope="col" className="right">
            Uploaded
          </th>
          <th role="columnheader" scope="col">
            <span className="visually-hidden">Action</span>
          </th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        {newest.map((release) => (
          <ReleaseRow key={release.id} release={release} />
        ))}
      </tbody>
    </table>
  );
}

function ReleaseRow({ release }: { release: Release }) {
  const sizes = Object.values(release.sizeBytes);
  return (
    <tr role="row">
      <th role="rowheader" scope="row" className="cell-main">
        <Link href={`/releases/${encodeURIComponent(release.id)}`}>
          {release.name} {release.version}
        </Link>
        <span className="under small soft">
          {release.description || <code>{shortDigest(release.manifestSha256)}</code>}
        </span>
      </th>
      <td role="cell" data-label="Boards">
        <Boards names={release.boards} />
      </td>
      <td role="cell" data-label="Services" className="right">
        {release.services.length}
      </td>
      <td role="cell" data-label="Size" className="right nowrap">
        {sizes.length > 0 ? bytes(Math.max(...sizes)) : 'none'}
      </td>
      <td role="cell" data-label="Runs on" className="right nowrap">
        {count(release.deviceCount, 'device')}
      </td>
      <td role="cell" data-label="Uploaded" className="right">
        <When at={release.uploadedAt} />
      </td>
      <td role="cell" className="right cell-action">
        <Link
          className="button"
          href={`/rollouts/new?release=${encodeURIComponent(release.id)}`}
          aria-label={`Deploy ${release.name} ${release.version}`}
        >
          Deploy
        </Link>
      </td>
    </tr>
  );
}
