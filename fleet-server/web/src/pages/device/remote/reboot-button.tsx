import { useMutation } from '@tanstack/react-query';
import { useId, useRef, useState } from 'react';
import { api } from '../../../api/endpoints.ts';
import { Failure } from '../../../ui/load.tsx';

/** For what must not happen to the wrong device: its name has to be typed. */
export function RebootButton({ device, isBlocked }: { device: string; isBlocked: boolean }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  const [typed, setTyped] = useState('');
  const reboot = useMutation({ mutationFn: () => api.reboot(device) });
  const close = () => dialog.current?.close();
  return (
    <>
      <button
        type="button"
        className="button"
        disabled={isBlocked || reboot.isPending}
        onClick={() => dialog.current?.showModal()}
      >
        Reboot…
      </button>
      {reboot.isSuccess ? (
        <span className="small soft" role="status">
          Reboots; it is offline for a moment
        </span>
      ) : null}
      {reboot.error ? <Failure error={reboot.error} /> : null}
      <dialog ref={dialog} className="dialog" aria-labelledby={titleId} onClose={() => setTyped('')}>
        <h2 id={titleId}>Reboot the device?</h2>
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            close();
            reboot.mutate();
          }}
        >
          <p>
            All services of <strong>{device}</strong> stop, and start again once it is up. Whoever stands by
            it loses it for as long.
          </p>
          <label className="field">
            <span>Type the name of the device to go on</span>
            <input
              className="input"
              value={typed}
              autoComplete="off"
              autoCapitalize="off"
              spellCheck={false}
              onChange={(event) => setTyped(event.target.value)}
            />
          </label>
          <div className="dialog-actions">
            <button type="button" className="button" onClick={close}>
              Cancel
            </button>
            <button type="submit" className="button button-main" disabled={typed !== device}>
              Reboot
            </button>
          </div>
        </form>
      </dialog>
    </>
  );
}
