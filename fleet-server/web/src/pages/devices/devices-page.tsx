import { useState } from 'react';
import type { Listing } from '../../api/endpoints.ts';
import { useDevices } from '../../api/queries.ts';
import type { DeviceSummary } from '../../api/types.ts';
import { byAttention, concernsOf, matches } from '../../derive/attention.ts';
import { count } from '../../format/quantity.ts';
import { Empty } from '../../ui/empty.tsx';
import { Load } from '../../ui/load.tsx';
import { PageHeader } from '../../ui/page-header.tsx';
import { DeviceTable } from './device-table.tsx';
import { EnrolDialog } from './enrol-dialog.tsx';

/** More rows than this make the page slow and nobody reads them: search narrows. */
const ROWS_SHOWN = 200;

export function DevicesPage() {
  const query = useDevices();
  return (
    <>
      <PageHeader
        title="Devices"
        lead={query.data && query.data.items.length > 0 ? <Overview devices={query.data.items} /> : null}
        actions={query.data && query.data.items.length > 0 ? <EnrolDialog /> : null}
      />
      <Load query={query} lines={8}>
        {(listing) => (listing.items.length === 0 ? <NoDevices /> : <DeviceList listing={listing} />)}
      </Load>
    </>
  );
}

function Overview({ devices }: { devices: DeviceSummary[] }) {
  const online = devices.filter(({ isOnline }) => isOnline).length;
  const concerned = devices.filter((device) => concernsOf(device).length > 0).length;
  const attention =
    concerned === 0 ? 'none needs attention' : `${concerned} need${concerned === 1 ? 's' : ''} attention`;
  return (
    <>
      {online} of {count(devices.length, 'device')} online, {attention}
    </>
  );
}

function DeviceList({ listing }: { listing: Listing<DeviceSummary> }) {
  const [search, setSearch] = useState('');
  const found = listing.items.filter((device) => matches(device, search)).sort(byAttention);
  const shown = found.slice(0, ROWS_SHOWN);
  return (
    <div className="stack">
      <div className="toolbar">
        <label className="search">
          <span className="visually-hidden">Search devices</span>
          <input
            className="input"
            type="search"
            placeholder="Search by id, board, release or state"
            value={search}
            onChange={(event) => setSearch(event.target.value)}
          />
        </label>
        <p className="soft small" role="status">
          {search.trim() === '' ? '' : `${found.length} of ${listing.items.length} match`}
        </p>
      </div>
      {found.length === 0 ? (
        <Empty title="No device matches">
          <p className="soft">Each word must occur in the id, the board, the release or the state.</p>
          <button type="button" className="button" onClick={() => setSearch('')}>
            Clear the search
          </button>
        </Empty>
      ) : (
        <DeviceTable devices={shown} />
      )}
      {shown.length < found.length || !listing.isComplete ? (
        <p className="soft small">{shown.length} shown. The fleet holds more: search to narrow the list.</p>
      ) : null}
    </div>
  );
}

function NoDevices() {
  return (
    <Empty title="No device yet">
      <p className="soft">
        A device joins with a join string: it proves to the device that this is the right server, and to the
        server that the device may join.
      </p>
      <EnrolDialog isMain />
    </Empty>
  );
}
