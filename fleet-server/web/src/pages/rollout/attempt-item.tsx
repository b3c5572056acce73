import { Link } from 'wouter';
import type { Attempt } from '../../api/types.ts';
import { attemptPercent } from '../../derive/rollout.ts';
import { bytes } from '../../format/quantity.ts';
import { refusalOf } from '../../format/refusal.ts';
import { localTimes } from '../../format/time.ts';
import { ATTEMPT_WORDS } from '../../format/words.ts';
import { Badge } from '../../ui/badge.tsx';
import { Notice } from '../../ui/notice.tsx';
import { Progress } from '../../ui/progress.tsx';
import { When } from '../../ui/when.tsx';

export function AttemptItem({ attempt }: { attempt: Attempt }) {
  const word = ATTEMPT_WORDS[attempt.state];
  return (
    <li className="attempt">
      <div className="attempt-head">
        <Link href={`/devices/${encodeURIComponent(attempt.device)}`}>
          <strong>{attempt.device}</strong>
        </Link>
        <Badge word={word} />
        <span className="soft small attempt-when">
          <When at={attempt.updatedAt} />
        </span>
      </div>
      <Progress
        label={`Progress of ${attempt.device}: ${word.label}`}
        percent={attemptPercent(attempt)}
        tone={word.tone}
      />
      <Detail attempt={attempt} />
    </li>
  );
}

function Detail({ attempt: { state, progress, reason } }: { attempt: Attempt }) {
  const isFailure = state === 'rejected' || state === 'rolled_back';
  return (
    <>
      {progress ? (
        <p className="small soft">
          {`${bytes(progress.doneBytes)} of ${bytes(progress.totalBytes)} fetched, ${bytes(progress.reusedBytes)} reused`}
        </p>
      ) : null}
      {/* One that waits says so below, and may have had nothing to fetch. */}
      {progress || state === 'waiting' ? null : (
        <p className="small soft">{NO_BYTES[state] ?? 'No bytes reported'}</p>
      )}
      {reason && isFailure ? (
        <Notice tone="bad" title={refusalOf(reason.code).title}>
          <p>
            {reason.message}
            <code className="code-tag">{reason.code}</code>
          </p>
          <p className="soft">{refusalOf(reason.code).advice}</p>
        </Notice>
      ) : null}
      {reason && !isFailure ? (
        <p className={state === 'waiting' ? 'small' : 'small soft'}>{localTimes(reason.message)}</p>
      ) : null}
    </>
  );
}

const NO_BYTES: Partial<Record<Attempt['state'], string>> = {
  queued: 'Waits for the device to connect',
  offered: 'The device was told and has not answered yet',
  rejected: 'Nothing was fetched',
  superseded: 'A newer rollout replaced this one',
  already_current: 'The device ran it already',
};
