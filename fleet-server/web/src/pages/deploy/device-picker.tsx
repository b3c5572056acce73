import type { Release } from '../../api/types.ts';
import type { Choice } from '../../derive/deploy.ts';
import { OnlineDot } from '../../ui/badge.tsx';
import { ToneIcon } from '../../ui/icon.tsx';

interface DevicePickerProps {
  release: Release | undefined;
  choices: Choice[];
  chosen: ReadonlySet<string>;
  setChosen: (chosen: ReadonlySet<string>) => void;
}

export function DevicePicker({ release, choices, chosen, setChosen }: DevicePickerProps) {
  const open = choices.filter(({ refusal }) => !refusal);
  const isAll = open.length > 0 && open.every(({ device }) => chosen.has(device.id));
  const toggle = (id: string) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  return (
    <fieldset className="panel picker" disabled={!release}>
      <legend>
        <span className="picker-number" aria-hidden="true">
          2
        </span>{' '}
        Devices
      </legend>
      {!release ? <p className="soft picker-empty">The devices that can take it are listed here.</p> : null}
      {release && choices.length === 0 ? (
        <p className="soft picker-empty">No device is enrolled yet.</p>
      ) : null}
      {open.length > 1 ? (
        <label className="option option-all">
          <input
            type="checkbox"
            checked={isAll}
            onChange={() => setChosen(isAll ? new Set() : new Set(open.map(({ device }) => device.id)))}
          />
          <span className="option-text">{`All ${open.length} that can take it`}</span>
          {open.length < choices.length ? (
            <span className="option-note soft small">{`${choices.length - open.length} cannot; listed last`}</span>
          ) : null}
        </label>
      ) : null}
      <div className="options">
        {choices.map((choice) => (
          <Option
            key={choice.device.id}
            choice={choice}
            isChosen={!choice.refusal && chosen.has(choice.device.id)}
            toggle={() => toggle(choice.device.id)}
          />
        ))}
      </div>
    </fieldset>
  );
}

interface OptionProps {
  choice: Choice;
  isChosen: boolean;
  toggle: () => void;
}

function Option({ choice: { device, refusal, note }, isChosen, toggle }: OptionProps) {
  const { id, board, current, isOnline } = device;
  return (
    <label className={refusal ? 'option is-refused' : 'option'}>
      <input type="checkbox" checked={isChosen} disabled={Boolean(refusal)} onChange={toggle} />
      <span className="option-text">
        <strong>{id}</strong>
        <span className="soft small">
          {board}, {current ? `runs ${current.name} ${current.version}` : 'runs no release yet'}
        </span>
      </span>
      <span className="option-note small">
        {refusal ? (
          <span className="option-refusal">
            <ToneIcon tone="warn" />
            {refusal}
          </span>
        ) : (
          <>
            {note ? <span className="soft">{note}</span> : null}
            <OnlineDot isOnline={isOnline} />
          </>
        )}
      </span>
    </label>
  );
}
