import type { UseQueryResult } from '@tanstack/react-query';
import type { WindowsInWords } from '../../api/types.ts';
import { Notice } from '../../ui/notice.tsx';
import { PRESETS, type WindowRow } from './policy-form.ts';

const MOST = 16;

interface WindowsEditorProps {
  windows: WindowRow[];
  setWindows: (windows: WindowRow[]) => void;
  words: UseQueryResult<WindowsInWords>;
}

export function WindowsEditor({ windows, setWindows, words }: WindowsEditorProps) {
  const add = ({ schedule, minutes }: { schedule: string; minutes: number }) => {
    const key = Math.max(0, ...windows.map((row) => row.key)) + 1;
    setWindows([...windows, { key, schedule, minutes }]);
  };
  return (
    <div className="stack-tight">
      <p className="small rule-title">Update windows</p>
      {windows.map((row, index) => (
        <Row
          key={row.key}
          number={index + 1}
          row={row}
          words={words.isError ? undefined : words.data?.words[index]}
          change={(change) =>
            setWindows(windows.map((other) => (other.key === row.key ? { ...other, ...change } : other)))
          }
          remove={() => setWindows(windows.filter(({ key }) => key !== row.key))}
        />
      ))}
      {windows.length > 0 && words.isError ? (
        <Notice tone="bad" title="A window cannot be used">
          <p>{words.error.message}</p>
        </Notice>
      ) : null}
      {windows.length < MOST ? (
        <div className="cluster">
          {PRESETS.map((preset) => (
            <button key={preset.label} type="button" className="button" onClick={() => add(preset)}>
              {preset.label}
            </button>
          ))}
        </div>
      ) : null}
    </div>
  );
}

interface RowProps {
  number: number;
  row: WindowRow;
  words: string | undefined;
  change: (change: Partial<WindowRow>) => void;
  remove: () => void;
}

function Row({ number, row: { schedule, minutes }, words, change, remove }: RowProps) {
  return (
    <div className="window-row">
      <label className="field">
        <span>{`Opens, window ${number} (cron)`}</span>
        <input
          className="input mono"
          value={schedule}
          required
          maxLength={100}
          spellCheck={false}
          autoComplete="off"
          onChange={(event) => change({ schedule: event.target.value })}
        />
      </label>
      <label className="field">
        <span>Minutes open</span>
        <input
          className="input"
          type="number"
          min={1}
          max={10_080}
          required
          value={minutes}
          onChange={(event) => change({ minutes: event.target.valueAsNumber || 1 })}
        />
      </label>
      <button type="button" className="button" onClick={remove} aria-label={`Remove window ${number}`}>
        Remove
      </button>
      <p className="small soft window-words" aria-live="polite">
        {words ?? ''}
      </p>
    </div>
  );
}
