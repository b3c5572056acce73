import { useMutation } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { remotePaths } from '../../../api/endpoints.ts';
import { remoteFile } from '../../../api/remote-stream.ts';
import { bytes } from '../../../format/quantity.ts';
import { Failure } from '../../../ui/load.tsx';

/** Has a support bundle made on the device, shows how much of it has come, and saves it as a file. */
export function BundleButton({ device, isBlocked }: { device: string; isBlocked: boolean }) {
  const [got, setGot] = useState(0);
  const gone = useRef<AbortController>(undefined);
  const fetching = useMutation({
    mutationFn: async () => {
      setGot(0);
      gone.current = new AbortController();
      const { signal } = gone.current;
      return remoteFile({ method: 'POST', path: remotePaths.bundle(device), signal }, setGot);
    },
    onSuccess: ({ name, content }) => save(name, content),
  });
  useEffect(() => () => gone.current?.abort(), []);
  const wasLeft = gone.current?.signal.aborted === true;
  return (
    <>
      <button
        type="button"
        className="button"
        disabled={isBlocked || fetching.isPending}
        onClick={() => fetching.mutate()}
      >
        Support bundle
      </button>
      {fetching.isPending ? (
        <>
          <span className="small soft" role="status">
            {got === 0 ? 'The device makes it…' : `${bytes(got)} fetched`}
          </span>
          <button type="button" className="button button-quiet" onClick={() => gone.current?.abort()}>
            Cancel
          </button>
        </>
      ) : null}
      {fetching.isSuccess ? (
        <span className="small soft" role="status">
          Saved, {bytes(fetching.data.content.size)}
        </span>
      ) : null}
      {fetching.error && !wasLeft ? <Failure error={fetching.error} /> : null}
    </>
  );
}

function save(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken hold of it by its next turn.
  setTimeout(() => URL.revokeObjectURL(url));
}
