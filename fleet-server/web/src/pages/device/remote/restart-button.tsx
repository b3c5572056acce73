import { useMutation } from '@tanstack/react-query';
import { api } from '../../../api/endpoints.ts';
import { ConfirmButton } from '../../../ui/confirm-button.tsx';
import { Failure } from '../../../ui/load.tsx';

interface RestartButtonProps {
  device: string;
  service: string;
  isBlocked: boolean;
}

export function RestartButton({ device, service, isBlocked }: RestartButtonProps) {
  const restart = useMutation({ mutationFn: () => api.restart(device, service) });
  return (
    <>
      <ConfirmButton
        label="Restart…"
        title={`Restart ${service}?`}
        act={`Restart ${service}`}
        disabled={isBlocked || restart.isPending}
        onConfirm={() => restart.mutate()}
      >
        <p>It is stopped and started again on {device}. What depends on it may notice.</p>
      </ConfirmButton>
      {restart.isPending || restart.isSuccess ? (
        <span className="small soft" role="status">
          {restart.isPending ? 'Asking…' : 'The device restarts it'}
        </span>
      ) : null}
      {restart.error ? <Failure error={restart.error} /> : null}
    </>
  );
}
