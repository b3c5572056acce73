import { formatBytes } from '../../../protocol/quantities.ts';
import type { LeaseShown, UpdateAnswer } from '../../local-api/answers.ts';
import { formatDuration } from './duration.ts';
import { plain } from './status.ts';

type Incoming = NonNullable<UpdateAnswer['incoming']>;
/** A time as people read it. */
type Time = (ms: number) => string;

/** The lines of `wherry update status`: a heading and its text each. */
export function describeUpdate(
  answer: UpdateAnswer,
  now: number,
  time: Time,
): [heading: string, text: string][] {
  const {
    phase,
    since,
    metadata,
    current,
    previous,
    incoming,
    reason,
    waitsUntil,
    progress,
    leases,
    system,
  } = answer;
  const when: Time = (ms) => `${time(ms)}, ${ms > now ? `in ${formatDuration(ms - now)}` : 'now'}`;
  const rows: [string, string | undefined][] = [
    ['Phase', `${plain(phase)} for ${formatDuration(now - since)}`],
    ['Why', reason && `${reason.message} [${reason.code}]`],
    ['Until', waitsUntil === undefined ? undefined : when(waitsUntil)],
    ['Incoming', incoming && label(incoming.release)],
    ['Progress', incoming && progress && describeProgress(progress)],
    ['Brings', incoming?.system && describeSystem(incoming.system)],
    ['Current', current ? label(current) : 'none yet'],
    ['System', system && `${system.id} in slot ${system.slot}`],
    ['Metadata', metadata && describeMetadata(metadata, now, when)],
    ['Previous', previous ? label(previous) : 'none: there is nothing to roll back to'],
    ...(incoming ? describeRules(incoming, now, when) : []),
    ...leases.map((lease): [string, string] => ['Lease', describeLease(lease, when)]),
  ];
  return rows.flatMap(([heading, text]) => (text === undefined ? [] : [[heading, text]]));
}

function describeSystem({ id, slot, isTried }: NonNullable<Incoming['system']>): string {
  const where = slot === undefined ? 'not in a slot yet' : `in slot ${slot}${isTried ? ', on trial' : ''}`;
  return `the system ${id}, ${where}`;
}

function describeRules(
  { policy, window, consent, deferredUntil, overdueAt }: Incoming,
  now: number,
  when: Time,
): [string, string | undefined][] {
  return [
    ['Urgent', policy.urgent && `${policy.urgent.by} said so: no window, lease or deferral holds it`],
    ['Window', window && describeWindow(window, when)],
    ['Consent', consent && (consent.by === undefined ? 'asked for, not given' : `given by ${consent.by}`)],
    ['Deferred', deferredUntil !== undefined && deferredUntil > now ? when(deferredUntil) : undefined],
    ['At latest', overdueAt === undefined ? undefined : when(overdueAt)],
    ['Power', policy.power && 'switches on external power only'],
    ['Link', policy.metered && 'downloads over links that are not metered only'],
  ];
}

function describeWindow({ isOpen, opensAt }: NonNullable<Incoming['window']>, when: Time): string {
  if (isOpen) return 'open';
  return opensAt === undefined ? 'closed, and no opening is known' : `closed, opens ${when(opensAt)}`;
}

function describeProgress({
  doneBytes,
  totalBytes,
  reusedBytes,
}: NonNullable<UpdateAnswer['progress']>): string {
  const percent = Math.floor((100 * doneBytes) / Math.max(1, totalBytes));
  return `${percent} % of ${formatBytes(totalBytes)}, ${formatBytes(reusedBytes)} reused`;
}

function describeMetadata(
  { checkedAt, expiresAt, fault }: NonNullable<UpdateAnswer['metadata']>,
  now: number,
  when: Time,
): string {
  const checked = checkedAt === undefined ? '' : `checked ${formatDuration(now - checkedAt)} ago`;
  if (fault) return `${fault.message} [${fault.code}]${checked && `; ${checked}`}`;
  return `${checked}, holds until ${when(expiresAt ?? now)}`;
}

const describeLease = ({ holder, kind, until, why }: LeaseShown, when: Time): string =>
  `${kind === 'service' ? `service ${holder}` : holder}, until ${when(until)}: ${why}`;

const label = ({
  name,
  version,
  generation,
}: {
  name: string;
  version: string;
  generation: number;
}): string => `${name} ${version} (generation ${generation})`;
