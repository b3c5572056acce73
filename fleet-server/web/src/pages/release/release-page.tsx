import { Link } from 'wouter';
import { useDevices, useRelease } from '../../api/queries.ts';
import type { Release } from '../../api/types.ts';
import { runs } from '../../derive/deploy.ts';
import { bytes, count } from '../../format/quantity.ts';
import { dateTime } from '../../format/time.ts';
import { OnlineDot } from '../../ui/badge.tsx';
import { Boards } from '../../ui/boards.tsx';
import { Fact, Facts } from '../../ui/facts.tsx';
import { Load } from '../../ui/load.tsx';
import { PageHeader } from '../../ui/page-header.tsx';
import { Panel } from '../../ui/panel.tsx';
import { BudgetTable } from './budget-table.tsx';
import { ChannelTable } from './channel-table.tsx';

export function ReleasePage({ id }: { id: string }) {
  const query = useRelease(id);
  const release = query.data;
  return (
    <>
      <PageHeader
        title={release ? `${release.name} ${release.version}` : 'Release'}
        lead={release?.description || null}
        actions={
          release ? (
            <Link className="button button-main" href={`/rollouts/new?release=${encodeURIComponent(id)}`}>
              Deploy
            </Link>
          ) : null
        }
      />
      <Load query={query} lines={8}>
        {(detail) => <Body release={detail} />}
      </Load>
    </>
  );
}

function Body({ release }: { release: Release }) {
  return (
    <div className="device-layout">
      <div className="stack device-main">
        <BudgetTable services={release.services} />
        {release.channels ? <ChannelTable channels={release.channels} /> : null}
        <WhereItRuns release={release} />
      </div>
      <aside className="stack device-aside" aria-label="About the release">
        <About release={release} />
        <Signatures release={release} />
      </aside>
    </div>
  );
}

function About({ release }: { release: Release }) {
  return (
    <Panel title="Content">
      <Facts>
        <Fact name="Boards">
          <Boards names={release.boards} />
        </Fact>
        {Object.entries(release.sizeBytes).map(([platform, size]) => (
          <Fact key={platform} name={platform}>
            {bytes(size)}
          </Fact>
        ))}
        {release.agentVersion !== undefined && <Fact name="Brings the agent">{release.agentVersion}</Fact>}
        {release.system && <Fact name="Brings the system">{systemText(release.system)}</Fact>}
        <Fact name="Uploaded">{dateTime(release.uploadedAt)}</Fact>
        <Fact name="Uploaded by">{release.uploadedBy}</Fact>
      </Facts>
      <p className="soft small">Sizes are what a device that holds nothing would fetch.</p>
    </Panel>
  );
}

const systemText = ({ version, sizeBytes }: NonNullable<Release['system']>): string =>
  [version, ...Object.entries(sizeBytes).map(([board, size]) => `${board} ${bytes(size)}`)].join(', ');

function Signatures({ release }: { release: Release }) {
  return (
    <Panel title="Signature">
      <div className="stack">
        <div className="fingerprint">
          <p className="soft small">Manifest, SHA-256</p>
          <code className="small">{release.manifestSha256.match(/.{1,8}/g)?.join(' ')}</code>
        </div>
        <div className="fingerprint">
          <p className="soft small">
            {`Signed in targets version ${release.targetsVersion} by ${count(release.signedBy.length, 'key')}`}
          </p>
          <ul className="stack-tight">
            {release.signedBy.map((keyid) => (
              <li key={keyid}>
                <code className="small">{keyid.match(/.{1,8}/g)?.join(' ')}</code>
              </li>
            ))}
          </ul>
        </div>
      </div>
    </Panel>
  );
}

function WhereItRuns({ release }: { release: Release }) {
  const query = useDevices();
  return (
    <Panel title="Where it runs">
      <Load query={query} lines={3}>
        {({ items }) => {
          const devices = items.filter((device) => runs(device, release));
          if (devices.length === 0) return <p className="soft">No device reports this release.</p>;
          return (
            <ul className="device-list">
              {devices.map((device) => (
                <li key={device.id}>
                  <Link href={`/devices/${encodeURIComponent(device.id)}`}>{device.id}</Link>
                  <span className="soft">{device.board}</span>
                  <OnlineDot isOnline={device.isOnline} />
                </li>
              ))}
            </ul>
          );
        }}
      </Load>
    </Panel>
  );
}
