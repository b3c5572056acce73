import { type ReactNode, useId, useRef } from 'react';

interface ConfirmButtonProps {
  label: string;
  title: string;
  /** What the second button says: it does what it says. */
  act: string;
  onConfirm: () => void;
  isMain?: boolean;
  disabled?: boolean;
  children: ReactNode;
}

/** For what must not happen by a slip: a button that asks once more. */
export function ConfirmButton({
  label,
  title,
  act,
  onConfirm,
  isMain = false,
  disabled = false,
  children,
}: ConfirmButtonProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  const close = () => dialog.current?.close();
  return (
    <>
      <button
        type="button"
        className={isMain ? 'button button-main' : 'button'}
        disabled={disabled}
        onClick={() => dialog.current?.showModal()}
      >
        {label}
      </button>
      <dialog ref={dialog} className="dialog" aria-labelledby={titleId}>
        <h2 id={titleId}>{title}</h2>
        <div className="stack">
          {children}
          <div className="dialog-actions">
            <button type="button" className="button" onClick={close}>
              Cancel
            </button>
            <button
              type="button"
              className="button button-main"
              onClick={() => {
                close();
                onConfirm();
              }}
            >
              {act}
            </button>
          </div>
        </div>
      </dialog>
    </>
  );
}
