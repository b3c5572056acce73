import { useMutation, useQueryClient } from '@tanstack/react-query';
import { api } from '../../api/endpoints.ts';
import { keys } from '../../api/queries.ts';
import type { DeviceDetail } from '../../api/types.ts';
import { Failure } from '../../ui/load.tsx';
import { When } from '../../ui/when.tsx';

/** A pinned device keeps its release: rollouts refuse it by name. */
export function PinControl({ device: { id, pinned, desired } }: { device: DeviceDetail }) {
  const client = useQueryClient();
  const change = useMutation({
    mutationFn: () => (pinned ? api.unpin(id) : api.pin(id)),
    onSuccess: (device) => {
      client.setQueryData(keys.device(id), device);
      void client.invalidateQueries({ queryKey: keys.devices });
    },
  });
  if (!desired) return null;
  const { name, version } = desired.release;
  return (
    <div className="stack-tight pin">
      <p className="small soft">
        {pinned ? (
          <>
            Pinned to {name} {version} by {pinned.by}, <When at={pinned.at} />. No rollout moves it.
          </>
        ) : (
          'Rollouts may give it another release.'
        )}
      </p>
      <button type="button" className="button" disabled={change.isPending} onClick={() => change.mutate()}>
        {pinned ? 'Unpin' : `Pin to ${name} ${version}`}
      </button>
      {change.error ? <Failure error={change.error} /> : null}
    </div>
  );
}
