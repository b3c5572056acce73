import { useMutation } from '@tanstack/react-query';
import { useId, useRef, useState } from 'react';
import { api } from '../../api/endpoints.ts';
import { dateTime } from '../../format/time.ts';
import { CopyField } from '../../ui/copy-field.tsx';
import { Failure } from '../../ui/load.tsx';
import { Notice } from '../../ui/notice.tsx';
import { enrolSteps } from './enrol-steps.ts';

const HOUR_S = 3_600;
const LIFETIMES = [
  { seconds: HOUR_S, label: '1 hour' },
  { seconds: 24 * HOUR_S, label: '1 day' },
  { seconds: 7 * 24 * HOUR_S, label: '7 days' },
] as const;

export function EnrolDialog({ isMain = false }: { isMain?: boolean }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  const [round, setRound] = useState(0);
  return (
    <>
      <button
        type="button"
        className={isMain ? 'button button-main' : 'button'}
        onClick={() => dialog.current?.showModal()}
      >
        Enrol a device
      </button>
      {/* A closed dialog forgets its token: it is shown once */}
      <dialog
        ref={dialog}
        className="dialog"
        aria-labelledby={titleId}
        onClose={() => setRound((number) => number + 1)}
      >
        <h2 id={titleId}>Enrol a device</h2>
        <EnrolForm key={round} close={() => dialog.current?.close()} />
      </dialog>
    </>
  );
}

function EnrolForm({ close }: { close: () => void }) {
  const [uses, setUses] = useState(1);
  const [seconds, setSeconds] = useState<number>(HOUR_S);
  const create = useMutation({ mutationFn: () => api.createEnrolmentToken(uses, seconds) });
  if (create.data) return <JoinString {...create.data} close={close} />;
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        create.mutate();
      }}
    >
      <p className="soft">
        This makes a join string. The device that runs it gets a certificate of its own; the string is of no
        use afterwards.
      </p>
      {create.error ? <Failure error={create.error} /> : null}
      <div className="field-row">
        <label className="field">
          <span>Devices that may join</span>
          <input
            className="input"
            type="number"
            min={1}
            max={10_000}
            required
            value={uses}
            onChange={(event) => setUses(event.target.valueAsNumber || 1)}
          />
        </label>
        <label className="field">
          <span>Valid for</span>
          <select
            className="input"
            value={seconds}
            onChange={(event) => setSeconds(Number(event.target.value))}
          >
            {LIFETIMES.map(({ seconds: value, label }) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        </label>
      </div>
      <div className="dialog-actions">
        <button type="button" className="button" onClick={close}>
          Cancel
        </button>
        <button type="submit" className="button button-main" disabled={create.isPending}>
          {create.isPending ? 'Making…' : 'Make a join string'}
        </button>
      </div>
    </form>
  );
}

interface JoinStringProps {
  joinString: string;
  expiresAt: number;
  close: () => void;
}

function JoinString({ joinString, expiresAt, close }: JoinStringProps) {
  return (
    <div className="stack">
      <Notice tone="warn" title="Shown once">
        <p>Copy it now: it cannot be shown again. It is valid until {dateTime(expiresAt)}.</p>
      </Notice>
      <CopyField label="Join string" value={joinString} />
      {enrolSteps(joinString).map(({ label, text }) => (
        <CopyField key={label} label={label} value={text} />
      ))}
      <div className="dialog-actions">
        <button type="button" className="button button-main" onClick={close}>
          Done
        </button>
      </div>
    </div>
  );
}
