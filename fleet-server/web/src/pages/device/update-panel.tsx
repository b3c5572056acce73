import type { DeviceDetail, UpdateStatus } from '../../api/types.ts';
import { updateSteps } from '../../derive/update-steps.ts';
import { isWaiting, updateWord } from '../../derive/update-word.ts';
import { bytes, percent } from '../../format/quantity.ts';
import { refusalOf } from '../../format/refusal.ts';
import { localTimes } from '../../format/time.ts';
import { PHASE_WORDS } from '../../format/words.ts';
import { Announce } from '../../ui/announce.tsx';
import { Badge } from '../../ui/badge.tsx';
import { Notice } from '../../ui/notice.tsx';
import { Panel } from '../../ui/panel.tsx';
import { Progress } from '../../ui/progress.tsx';
import { ReleaseLabel } from '../../ui/release-label.tsx';
import { When } from '../../ui/when.tsx';
import { StepList } from './step-list.tsx';

export function UpdatePanel({ device }: { device: DeviceDetail }) {
  const update = device.report?.update;
  if (!update) {
    return (
      <Panel title="Update">
        <p className="soft">
          {device.desired ? (
            <>
              The server wants <ReleaseLabel {...device.desired.release} />; the device has not reported yet.
            </>
          ) : (
            'Nothing is deployed to this device yet.'
          )}
        </p>
      </Panel>
    );
  }
  const word = updateWord(device);
  const waits = isWaiting(device);
  const steps = waits ? undefined : updateSteps(update.phase, update.reason?.code);
  return (
    <Panel title="Update" aside={<Badge word={word} />}>
      <Announce text={`Update: ${word.label}`} />
      <div className="stack">
        <Sentence device={device} update={update} />
        {steps ? <StepList steps={steps} /> : null}
        {waits ? null : <Transfer update={update} />}
        <Refusal update={update} />
        <Stale update={update} />
      </div>
    </Panel>
  );
}

function Sentence({ device, update }: { device: DeviceDetail; update: UpdateStatus }) {
  const { release, phase, since } = update;
  const { desired } = device;
  if (desired && isWaiting(device)) {
    return (
      <p>
        The server wants <ReleaseLabel {...desired.release} />; the device{' '}
        {device.isOnline ? 'has not begun with it yet' : 'gets it when it is back'}
      </p>
    );
  }
  if (!release) return <p className="soft">Nothing is being updated</p>;
  return (
    <p>
      <ReleaseLabel {...release} /> <span className="soft">(generation {release.generation})</span>,{' '}
      {phase === 'committed' ? 'committed' : PHASE_WORDS[phase].label.toLowerCase()}
      {updateSteps(phase) && phase !== 'committed' ? ', begun ' : ' '}
      <When at={since} />
    </p>
  );
}

function Transfer({ update: { phase, progress } }: { update: UpdateStatus }) {
  if (!progress) return null;
  const share = percent(progress.doneBytes, progress.totalBytes);
  const isMoving = phase === 'fetching';
  return (
    <div className="stack-tight">
      {isMoving ? <Progress label="Fetched" percent={share} tone="busy" /> : null}
      <p className="small soft">
        {progress.totalBytes === 0
          ? 'Nothing to fetch'
          : `${bytes(progress.doneBytes)} of ${bytes(progress.totalBytes)} fetched`}
        {progress.reusedBytes > 0 ? `, ${bytes(progress.reusedBytes)} reused from what the device had` : ''}
      </p>
    </div>
  );
}

/** Told only when something is amiss: on most days nobody wants to know of timestamps. */
function Stale({ update: { metadata } }: { update: UpdateStatus }) {
  if (!metadata?.fault) return null;
  return (
    <Notice tone="warn" title="No fresh signed metadata">
      <p>
        {metadata.fault.message}
        <code className="code-tag">{metadata.fault.code}</code>
      </p>
      <p className="soft">
        Somebody between the server and the device may withhold what is new
        {metadata.checkedAt === undefined ? (
          ''
        ) : (
          <>
            ; the last was accepted <When at={metadata.checkedAt} />
          </>
        )}
      </p>
    </Notice>
  );
}

function Refusal({ update: { phase, reason } }: { update: UpdateStatus }) {
  if (!reason) return null;
  if (phase !== 'refused' && phase !== 'rolled_back' && phase !== 'rolling_back') {
    return <p className={phase === 'waiting' ? 'small' : 'small soft'}>{localTimes(reason.message)}</p>;
  }
  const { title, advice } = refusalOf(reason.code);
  return (
    <Notice tone="bad" title={title}>
      <p>
        {reason.message}
        <code className="code-tag">{reason.code}</code>
      </p>
      {advice ? <p className="soft">{advice}</p> : null}
    </Notice>
  );
}
