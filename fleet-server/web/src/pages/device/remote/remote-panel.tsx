import { useState } from 'react';
import { useSession } from '../../../api/queries.ts';
import type { DeviceDetail, RemoteAction } from '../../../api/types.ts';
import { blockedBy, noRequests } from '../../../derive/remote.ts';
import { Panel } from '../../../ui/panel.tsx';
import { BundleButton } from './bundle-button.tsx';
import { LogView } from './log-view.tsx';
import { RebootButton } from './reboot-button.tsx';
import { RestartButton } from './restart-button.tsx';
import { Terminal } from './terminal.tsx';
import { WhyView } from './why-view.tsx';

const TOOLS = [
  { action: 'logs', label: 'Log' },
  { action: 'why', label: 'Why' },
  { action: 'exec', label: 'Terminal' },
] as const;
type Tool = (typeof TOOLS)[number]['action'];

const NAMES: Partial<Record<RemoteAction, string>> = {
  logs: 'Log',
  why: 'Why',
  exec: 'Terminal',
  restart: 'Restart',
  bundle: 'Support bundle',
  reboot: 'Reboot',
};

/** What the device tells and does while somebody looks on. */
export function RemotePanel({ device }: { device: DeviceDetail }) {
  const obstacle = noRequests(device, device.agentVersion);
  return (
    <Panel title="At the device" aside={<span className="soft small">Each request is recorded</span>}>
      {obstacle ? <p className="soft">{obstacle}</p> : <Tools device={device} />}
    </Panel>
  );
}

function Tools({ device }: { device: DeviceDetail }) {
  const role = useSession().data?.role;
  const names = (device.report?.services ?? []).map(({ name }) => name);
  const [chosen, setChosen] = useState('');
  const [tool, setTool] = useState<Tool>();
  const service = names.includes(chosen) ? chosen : names[0];
  const why = (action: RemoteAction) => blockedBy(action, device, role);
  const blocked = (Object.keys(NAMES) as RemoteAction[]).flatMap((action) => {
    const reason = why(action);
    return reason ? [{ action, reason }] : [];
  });
  return (
    <div className="stack">
      <div className="remote-bar">
        {service === undefined ? (
          <p className="soft">The release in force holds no service.</p>
        ) : (
          <>
            <label className="remote-service">
              <span className="small soft">Service</span>
              <select className="input" value={service} onChange={(event) => setChosen(event.target.value)}>
                {names.map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            </label>
            <div className="cluster" role="group" aria-label="Of the service">
              {TOOLS.map(({ action, label }) => (
                <button
                  key={action}
                  type="button"
                  className="button toggle"
                  aria-pressed={tool === action}
                  disabled={why(action) !== undefined}
                  onClick={() => setTool(tool === action ? undefined : action)}
                >
                  {label}
                </button>
              ))}
              <RestartButton
                key={service}
                device={device.id}
                service={service}
                isBlocked={why('restart') !== undefined}
              />
            </div>
          </>
        )}
        <div className="cluster remote-device" role="group" aria-label="Of the device">
          <BundleButton device={device.id} isBlocked={why('bundle') !== undefined} />
          <RebootButton device={device.id} isBlocked={why('reboot') !== undefined} />
        </div>
      </div>
      {blocked.length > 0 ? (
        <ul className="small soft">
          {blocked.map(({ action, reason }) => (
            <li key={action}>
              <strong>{NAMES[action]}</strong>: {reason}
            </li>
          ))}
        </ul>
      ) : null}
      {service === undefined || tool === undefined ? null : (
        <Shown key={`${tool} ${service}`} tool={tool} device={device.id} service={service} />
      )}
    </div>
  );
}

function Shown({ tool, device, service }: { tool: Tool; device: string; service: string }) {
  if (tool === 'logs') return <LogView device={device} service={service} />;
  if (tool === 'why') return <WhyView device={device} service={service} />;
  return <Terminal device={device} service={service} />;
}
