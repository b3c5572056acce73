import { useDevice } from '../../api/queries.ts';
import type { DeviceDetail } from '../../api/types.ts';
import { concernsOf } from '../../derive/attention.ts';
import { Badge, OnlineDot } from '../../ui/badge.tsx';
import { Load } from '../../ui/load.tsx';
import { Notice } from '../../ui/notice.tsx';
import { PageHeader } from '../../ui/page-header.tsx';
import { ReleaseLabel } from '../../ui/release-label.tsx';
import { When } from '../../ui/when.tsx';
import { ChannelsPanel } from './channels-panel.tsx';
import { ConditionNotices } from './condition-facts.tsx';
import { HealthPanel } from './health-panel.tsx';
import { HistoryPanel } from './history-panel.tsx';
import { IdentityPanel } from './identity-panel.tsx';
import { PostMortemsPanel } from './post-mortems-panel.tsx';
import { RemotePanel } from './remote/remote-panel.tsx';
import { ServicesPanel } from './services-panel.tsx';
import { UpdatePanel } from './update-panel.tsx';
import { UsePanel } from './use-panel.tsx';

export function DevicePage({ id }: { id: string }) {
  const query = useDevice(id);
  const device = query.data;
  return (
    <>
      <PageHeader
        title={id}
        state={device ? <States device={device} /> : null}
        lead={device ? <Lead device={device} /> : null}
      />
      <Load query={query} lines={12}>
        {(detail) => <Body device={detail} />}
      </Load>
    </>
  );
}

function States({ device }: { device: DeviceDetail }) {
  const concerns = concernsOf(device).filter(({ text }) => text !== 'Offline');
  return (
    <>
      <OnlineDot isOnline={device.isOnline} />
      {device.pinned ? <Badge word={{ label: 'Pinned', tone: 'quiet' }} /> : null}
      {concerns.map(({ text, tone }) => (
        <Badge key={text} word={{ label: text, tone }} />
      ))}
    </>
  );
}

function Lead({ device: { board, platform, current, isOnline, lastSeenAt } }: { device: DeviceDetail }) {
  return (
    <p className="dotted">
      <span>
        {board}, {platform}
      </span>
      <span>
        {current ? (
          <>
            runs <ReleaseLabel {...current} />
          </>
        ) : (
          'runs no release yet'
        )}
      </span>
      {isOnline ? null : <span>last seen {lastSeenAt === null ? 'never' : <When at={lastSeenAt} />}</span>}
    </p>
  );
}

function Body({ device }: { device: DeviceDetail }) {
  const { report, isOnline } = device;
  return (
    <div className="device-layout">
      <div className="stack device-main">
        {!isOnline && report ? (
          <Notice tone="warn" title="The device is offline">
            <p>
              Everything below is what it last reported, <When at={report.at} />. Its services go on without
              the server.
            </p>
          </Notice>
        ) : null}
        <ConditionNotices health={report?.device} />
        <UpdatePanel device={device} />
        <ServicesPanel services={report?.services} />
        <RemotePanel device={device} />
        <ChannelsPanel channels={report?.channels} />
        <UsePanel id={device.id} services={report?.services ?? []} />
        <PostMortemsPanel id={device.id} />
        <HistoryPanel id={device.id} />
      </div>
      <aside className="stack device-aside" aria-label="About the device">
        <HealthPanel health={report?.device} />
        <IdentityPanel device={device} />
      </aside>
    </div>
  );
}
