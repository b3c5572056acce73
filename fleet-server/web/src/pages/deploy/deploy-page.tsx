import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useLocation, useSearchParams } from 'wouter';
import { api } from '../../api/endpoints.ts';
import { keys, useDevices, useReleases, useWindowsInWords } from '../../api/queries.ts';
import type { AskedPolicy, DeviceSummary, Release } from '../../api/types.ts';
import { choicesFor } from '../../derive/deploy.ts';
import { egressSentences, policySentences, URGENT_MEANS } from '../../format/policy.ts';
import { count } from '../../format/quantity.ts';
import { ConfirmButton } from '../../ui/confirm-button.tsx';
import { Empty } from '../../ui/empty.tsx';
import { Failure, Load } from '../../ui/load.tsx';
import { PageHeader } from '../../ui/page-header.tsx';
import { DevicePicker } from './device-picker.tsx';
import { egressOf, NO_RULES, toPolicy } from './policy-form.ts';
import { PolicyPicker } from './policy-picker.tsx';
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

const NO_WINDOWS: NonNullable<AskedPolicy['windows']> = [];

interface WizardProps {
  releases: Release[];
  devices: DeviceSummary[];
}

function Wizard({ releases, devices }: WizardProps) {
  const [params, setParams] = useSearchParams();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [form, setForm] = useState(NO_RULES);
  const policy = toPolicy(form);
  const words = useWindowsInWords(policy?.windows ?? NO_WINDOWS);
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
  const egress = egressOf(form);
  const isSound = egress !== null && !(policy?.windows && words.isError);
  const isReady = release !== undefined && pickedDevices.length > 0 && isSound;
  const deploy = () => {
    if (!release || !isReady) return;
    const devices = pickedDevices.map(({ id }) => id);
    start.mutate({
      releaseId: release.id,
      devices,
      ...(policy && { policy }),
      ...(form.isUrgent && { urgent: true as const }),
      ...(egress && { egressBytesPerSecond: egress }),
    });
  };
  const label = isReady ? `Deploy ${release.version} to ${count(pickedDevices.length, 'device')}` : 'Deploy';

  return (
    <form
      className="stack wizard"
      onSubmit={(event) => {
        event.preventDefault();
        if (!form.isUrgent) deploy();
      }}
    >
      <ReleasePicker
        releases={releases}
        chosen={release?.id}
        choose={(id) => setParams({ release: id }, { replace: true })}
      />
      <DevicePicker release={release} choices={choices} chosen={chosen} setChosen={setChosen} />
      {release ? <PolicyPicker form={form} setForm={setForm} words={words} /> : null}
      {release && pickedDevices.length > 0 ? (
        <Review
          release={release}
          devices={pickedDevices}
          rules={[
            ...policySentences(
              { ...policy, ...(form.isUrgent && { urgent: { by: 'you' } }) },
              policy?.windows && words.data?.words,
            ),
            ...egressSentences(egress ?? undefined),
          ]}
        />
      ) : null}
      {start.error ? <Failure error={start.error} /> : null}
      <div className="wizard-actions">
        {form.isUrgent ? (
          <ConfirmButton
            label={`${label} as urgent…`}
            title="Deploy as urgent?"
            act="Deploy as urgent"
            isMain
            disabled={!isReady || start.isPending}
            onConfirm={deploy}
          >
            <p>{URGENT_MEANS}</p>
            <p className="soft">It is recorded with your name.</p>
          </ConfirmButton>
        ) : (
          <button type="submit" className="button button-main" disabled={!isReady || start.isPending}>
            {label}
          </button>
        )}
        <span className="soft small">{hint(release, pickedDevices.length)}</span>
      </div>
    </form>
  );
}

function useStart() {
  const client = useQueryClient();
  const [, navigate] = useLocation();
  return useMutation({
    mutationFn: api.startRollout,
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
