import { useId, useRef, useState } from 'react';

const SHOWN_MS = 2_000;
/** Characters; longer text gets the height of a join string. */
const ONE_LINE = 40;

/** Text to take away. Without the clipboard API (plain HTTP on a LAN) it falls back to the selection. */
export function CopyField({ label, value }: { label: string; value: string }) {
  const id = useId();
  const field = useRef<HTMLTextAreaElement>(null);
  const [isCopied, setIsCopied] = useState(false);

  const copy = async () => {
    field.current?.select();
    const didCopy = navigator.clipboard
      ? await navigator.clipboard.writeText(value).then(
          () => true,
          () => false,
        )
      : document.execCommand('copy');
    setIsCopied(didCopy);
    setTimeout(() => setIsCopied(false), SHOWN_MS);
  };

  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <div className="copy">
        <textarea
          id={id}
          ref={field}
          className="mono"
          readOnly
          rows={value.length > ONE_LINE ? 4 : 1}
          value={value}
          onFocus={(event) => event.currentTarget.select()}
        />
        <button type="button" className="button" onClick={() => void copy()}>
          {isCopied ? 'Copied' : 'Copy'}
        </button>
      </div>
      <span className="visually-hidden" role="status">
        {isCopied ? `${label} copied` : ''}
      </span>
    </div>
  );
}
