import { Link } from 'wouter';
import type { DeviceSummary } from '../../api/types.ts';
import { concernsOf, isUpdating } from '../../derive/attention.ts';
import { isBehind, updateWord } from '../../derive/update-word.ts';
import { localTimes } from '../../format/time.ts';
import { Badge, OnlineDot } from '../../ui/badge.tsx';
import { ReleaseLabel } from '../../ui/release-label.tsx';
import { When } from '../../ui/when.tsx';

/** The roles are spelt out because the phone layout turns rows into cards, and `display` would drop the implied ones. */
export function DeviceTable({ devices }: { devices: DeviceSummary[] }) {
  return (
    <table className="table cards device-table" role="table">
      <caption className="visually-hidden">Devices, those that need attention first</caption>
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col">
            Device
          </th>
          <th role="columnheader" scope="col">
            State
          </th>
          <th role="columnheader" scope="col">
            Board
          </th>
          <th role="columnheader" scope="col">
            Release
          </th>
          <th role="columnheader" scope="col">
            Update
          </th>
          <th role="columnheader" scope="col" className="right">
            Services
          </th>
          <th role="columnheader" scope="col" className="right">
            Last seen
          </th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        {devices.map((device) => (
          <DeviceRow key={device.id} device={device} />
        ))}
      </tbody>
    </table>
  );
}

function DeviceRow({ device }: { device: DeviceSummary }) {
  const { id, board, isOnline, lastSeenAt, services } = device;
  return (
    <tr role="row" className="row-link">
      <th role="rowheader" scope="row" className="cell-main">
        <Link href={`/devices/${encodeURIComponent(id)}`}>{id}</Link>
        <Concerns device={device} />
      </th>
      <td role="cell" data-label="State">
        <OnlineDot isOnline={isOnline} />
      </td>
      <td role="cell" data-label="Board">
        {board}
      </td>
      <td role="cell" data-label="Release">
        <Releases device={device} />
      </td>
      <td role="cell" data-label="Update">
        <Phase device={device} />
      </td>
      <td role="cell" data-label="Services" className="right">
        {services.total === 0 ? (
          <span className="soft">none</span>
        ) : (
          `${services.running} / ${services.total}`
        )}
      </td>
      <td role="cell" data-label="Last seen" className="right">
        {lastSeenAt === null ? <span className="soft">never</span> : <When at={lastSeenAt} />}
      </td>
    </tr>
  );
}

function Concerns({ device }: { device: DeviceSummary }) {
  // Offline and refused have columns of their own
  const down = concernsOf(device).filter(({ text }) => text.includes('down'));
  return down.map(({ text, tone }) => (
    <span key={text} className="concern">
      <Badge word={{ label: text, tone }} />
    </span>
  ));
}

function Releases({ device }: { device: DeviceSummary }) {
  const { current, desired, pinned } = device;
  return (
    <span className="releases">
      {current ? <ReleaseLabel {...current} /> : <span className="soft">none</span>}
      {desired && isBehind(device) ? (
        <span className="desired">
          <span aria-hidden="true">→ </span>
          <span className="visually-hidden">wanted: </span>
          <ReleaseLabel name={desired.release.name} version={desired.release.version} />
        </span>
      ) : null}
      {pinned ? <span className="soft small">pinned</span> : null}
    </span>
  );
}

function Phase({ device }: { device: DeviceSummary }) {
  const { updatePhase, updateReason } = device;
  const isTrouble = updatePhase === 'refused' || updatePhase === 'rolled_back';
  return (
    <span className="phase">
      <Badge word={updateWord(device)} />
      {updateReason && (isTrouble || isUpdating(device) || updatePhase === 'waiting') ? (
        <span className="phase-reason small">{localTimes(updateReason.message)}</span>
      ) : null}
    </span>
  );
}
