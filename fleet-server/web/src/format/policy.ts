import type { UpdatePolicy } from '../api/types.ts';
import { duration } from './time.ts';

/** What a rollout asks of its devices, a sentence each, in the order in which a device looks at it. */
export function policySentences(policy: UpdatePolicy, windows: readonly string[] = []): string[] {
  const { maxDeferralMs, urgent } = policy;
  const isTimed = windows.length > 0;
  return [
    ...(urgent ? [`Urgent, by ${urgent.by}: no window, lease, metered link or deferral holds it`] : []),
    ...(policy.metered ? ['Fetches nothing while the link is metered'] : []),
    ...(policy.consent ? ['Somebody at the device agrees first'] : []),
    ...(policy.power ? ['Switches on external power only'] : []),
    ...(isTimed ? [`Switches ${windows.join('; or ')}, in the device's own time`] : []),
    ...(maxDeferralMs === undefined
      ? []
      : [`No window, lease or deferral holds it longer than ${duration(maxDeferralMs)}`]),
    ...(policy.commitOffline ? ['Commits also when the server is not reached any more'] : []),
  ];
}

/** What the server itself holds a rollout to. */
export const egressSentences = (bytesPerSecond: number | undefined): string[] =>
  bytesPerSecond === undefined
    ? []
    : [
        `The server sends its devices ${Number((bytesPerSecond / 125_000).toPrecision(3))} Mbit/s in all at most`,
      ];

/** What being urgent overrides, and what it does not. */
export const URGENT_MEANS =
  'Devices switch as soon as they hold the release: windows, leases of services and people, metered links and ' +
  'deferrals no longer hold them. Consent at the device and external power still do, where they are asked for.';
