import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useLocation, useSearchParams } from 'wouter';
import { api } from '../../api/endpoints.ts';
import { keys, useDevices, useReleases } from '../../api/queries.ts';
import type { DeviceSummary, Release } from '../../api/types.ts';
import { choicesFor } from '../../derive/deploy.ts';
import { count } from '../../format/quantity.ts';
import { Empty } from '../../ui/empty.tsx';
import { Failure, Load } from '../../ui/load.tsx';
import { PageHeader } from '../../ui/page-header.tsx';
import { DevicePicker } from './device-picker.tsx';
import { ReleasePicker } from './release-picker.tsx';
import { Review } from './review.tsx';

export function DeployPage() {
  const releases = useReleases();
  const devices = useDevices();
  return (
    <>
      <PageHeader title="Deploy" lead="Choose a release and the devices that shall run it" />
      <Load query={releases} lines={6}>
        {(releaseListing) => (
          <Load query={devices} lines={6}>
            {(deviceListing) => <Wizard releases={releaseListing.items} devices={deviceListing.items} />}
          </Load>
        )}
      </Load>
    </>
  );
}

interface WizardProps {
  releases: Release[];
  devices: DeviceSummary[];
}

function Wizard({ releases, devices }: WizardProps) {
  const [params, setParams] = useSearchParams();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const start = useStart();
  const release = releases.find(({ id }) => id === params.get('release'));

  if (releases.length === 0) {
    return (
      <Empty title="There is no release to deploy">
        <p className="soft">Push one with the command line client: wherry release push</p>
      </Empty>
    );
  }
  const choices = release ? choicesFor(release, devices) : [];
  const picked = choices.filter(({ device, refusal }) => !refusal && chosen.has(device.id));
  const pickedDevices = picked.map(({ device }) => device);

  return (
    <form
      className="stack wizard"
      onSubmit={(event) => {
        event.preventDefault();
        if (release) start.mutate({ releaseId: release.id, devices: pickedDevices.map(({ id }) => id) });
      }}
    >
      <ReleasePicker
        releases={releases}
        chosen={release?.id}
        choose={(id) => setParams({ release: id }, { replace: true })}
      />
      <DevicePicker release={release} choices={choices} chosen={chosen} setChosen={setChosen} />
      {release && pickedDevices.length > 0 ? <Review release={release} devices={pickedDevices} /> : null}
      {start.error ? <Failure error={start.error} /> : null}
      <div className="wizard-actions">
        <button
          type="submit"
          className="button button-main"
          disabled={!release || pickedDevices.length === 0 || start.isPending}
        >
          {release && pickedDevices.length > 0
            ? `Deploy ${release.version} to ${count(pickedDevices.length, 'device')}`
            : 'Deploy'}
        </button>
        <span className="soft small">{hint(release, pickedDevices.length)}</span>
      </div>
    </form>
  );
}

function useStart() {
  const client = useQueryClient();
  const [, navigate] = useLocation();
  return useMutation({
    mutationFn: ({ releaseId, devices }: { releaseId: string; devices: string[] }) =>
      api.startRollout(releaseId, devices),
    onSuccess: (rollout) => {
      client.setQueryData(keys.rollout(rollout.id), rollout);
      void client.invalidateQueries({ queryKey: keys.rollouts });
      navigate(`/rollouts/${encodeURIComponent(rollout.id)}`);
    },
  });
}

function hint(release: Release | undefined, picked: number): string {
  if (!release) return 'Choose a release first';
  return picked === 0 ? 'Choose at least one device' : '';
}
