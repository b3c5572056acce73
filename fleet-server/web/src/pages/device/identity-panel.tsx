import type { DeviceDetail } from '../../api/types.ts';
import { dateTime } from '../../format/time.ts';
import { Fact, Facts } from '../../ui/facts.tsx';
import { Panel } from '../../ui/panel.tsx';
import { When } from '../../ui/when.tsx';
import { PinControl } from './pin-control.tsx';

export function IdentityPanel({ device }: { device: DeviceDetail }) {
  return (
    <Panel title="Identity">
      <Facts>
        <Fact name="Enrolled">{dateTime(device.enrolledAt)}</Fact>
        <Fact name="Agent">{device.agentVersion ?? 'not reported'}</Fact>
        <Fact name="Desired">
          {device.desired
            ? `${device.desired.release.name} ${device.desired.release.version}, generation ${device.desired.generation}`
            : 'nothing'}
        </Fact>
        <Fact name="Certificate expires">
          <When at={device.certificateExpiresAt} />
        </Fact>
      </Facts>
      <PinControl device={device} />
      <div className="fingerprint">
        <p className="soft small">Certificate, SHA-256</p>
        <code className="small">{device.certificateSha256.match(/.{1,8}/g)?.join(' ')}</code>
      </div>
    </Panel>
  );
}
