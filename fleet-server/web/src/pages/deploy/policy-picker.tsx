import type { UseQueryResult } from '@tanstack/react-query';
import type { WindowsInWords } from '../../api/types.ts';
import { DEFERRALS, EGRESS_MBIT, type PolicyForm } from './policy-form.ts';
import { WindowsEditor } from './windows-editor.tsx';

interface PolicyPickerProps {
  form: PolicyForm;
  setForm: (form: PolicyForm) => void;
  words: UseQueryResult<WindowsInWords>;
}

export function PolicyPicker({ form, setForm, words }: PolicyPickerProps) {
  return (
    <fieldset className="panel picker">
      <legend>
        <span className="picker-number" aria-hidden="true">
          3
        </span>{' '}
        Rules
      </legend>
      <div className="panel-body stack rules">
        <p className="soft small">Without any, each device switches as soon as it holds the release.</p>
        <WindowsEditor
          windows={form.windows}
          setWindows={(windows) => setForm({ ...form, windows })}
          words={words}
        />
        <label className="field deferral">
          <span>Windows, leases and deferrals hold a device for</span>
          <select
            className="input"
            value={form.maxDeferralDays}
            onChange={(event) => setForm({ ...form, maxDeferralDays: Number(event.target.value) })}
          >
            {DEFERRALS.map(({ days, label }) => (
              <option key={days} value={days}>
                {days === 0 ? label : `${label} at most`}
              </option>
            ))}
          </select>
        </label>
        <label className="field deferral">
          <span>The server sends all its devices together at most, Mbit/s</span>
          <input
            className="input"
            type="number"
            inputMode="decimal"
            step="any"
            min={EGRESS_MBIT.least}
            max={EGRESS_MBIT.most}
            placeholder="No limit"
            value={form.egressMbit}
            onChange={(event) => setForm({ ...form, egressMbit: event.target.value })}
          />
        </label>
      </div>
      <div className="options">
        {SWITCHES.map(({ rule, label, note }) => (
          <label key={rule} className="option">
            <input
              type="checkbox"
              checked={form[rule]}
              onChange={(event) => setForm({ ...form, [rule]: event.target.checked })}
            />
            <span className="option-text">
              <strong>{label}</strong>
              <span className="soft small">{note}</span>
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

type Rule = 'consent' | 'metered' | 'power' | 'commitOffline' | 'isUrgent';

const SWITCHES: readonly { rule: Rule; label: string; note: string }[] = [
  {
    rule: 'consent',
    label: 'Ask at the device',
    note: 'Somebody there says yes: wherry update consent. Nothing overrides it.',
  },
  {
    rule: 'power',
    label: 'External power only',
    note: 'A device on battery waits. Nothing overrides it.',
  },
  {
    rule: 'metered',
    label: 'No metered links',
    note: 'Nothing is fetched over a modem, or a link named metered.',
  },
  {
    rule: 'commitOffline',
    label: 'Keep it without the server',
    note: 'Else a device that had the server before the switch, and no longer reaches it, rolls back.',
  },
  {
    rule: 'isUrgent',
    label: 'Urgent',
    note: 'Overrides windows, leases, metered links and deferrals. Recorded with your name.',
  },
];
