import { useMutation, useQueryClient } from '@tanstack/react-query';
import { api } from '../../api/endpoints.ts';
import { keys } from '../../api/queries.ts';
import type { Rollout } from '../../api/types.ts';
import { mayBeUrgent } from '../../derive/rollout.ts';
import { egressSentences, policySentences, URGENT_MEANS } from '../../format/policy.ts';
import { count } from '../../format/quantity.ts';
import { ConfirmButton } from '../../ui/confirm-button.tsx';
import { Failure } from '../../ui/load.tsx';
import { Panel } from '../../ui/panel.tsx';

export function RulesPanel({ rollout }: { rollout: Rollout }) {
  const sentences = [
    ...policySentences(rollout.policy ?? {}, rollout.windows),
    ...egressSentences(rollout.egressBytesPerSecond),
  ];
  const held = mayBeUrgent(rollout);
  // Leases and deferrals at the device hold a rollout without rules too.
  const isHeld = rollout.attempts.some(({ state }) => state === 'waiting');
  if (sentences.length === 0 && !isHeld) return null;
  return (
    <Panel title="Rules" aside={held > 0 ? <MakeUrgent rollout={rollout} held={held} /> : null}>
      {sentences.length === 0 ? <p>None: each device switches as soon as it holds the release</p> : null}
      <ul className="rule-list">
        {sentences.map((sentence) => (
          <li key={sentence}>{sentence}</li>
        ))}
      </ul>
    </Panel>
  );
}

function MakeUrgent({ rollout: { id }, held }: { rollout: Rollout; held: number }) {
  const client = useQueryClient();
  const urge = useMutation({
    mutationFn: () => api.makeUrgent(id),
    onSuccess: (rollout) => {
      client.setQueryData(keys.rollout(id), rollout);
      void client.invalidateQueries({ queryKey: keys.rollouts });
    },
  });
  return (
    <div className="stack-tight">
      <ConfirmButton
        label="Make urgent…"
        title="Make this rollout urgent?"
        act="Make urgent"
        disabled={urge.isPending}
        onConfirm={() => urge.mutate()}
      >
        <p>{URGENT_MEANS}</p>
        <p className="soft">
          {`It concerns ${count(held, 'device')} that ${held === 1 ? 'has' : 'have'} not switched, and is recorded with your name.`}
        </p>
      </ConfirmButton>
      {urge.error ? <Failure error={urge.error} /> : null}
    </div>
  );
}
