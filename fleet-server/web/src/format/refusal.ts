import type { ReasonCode } from '../../../../protocol/reasons.ts';

interface Refusal {
  title: string;
  /** What an operator can do about it. */
  advice: string;
}

const tampered = {
  title: 'The data is not what was signed',
  advice:
    'The server’s copy or the way to the device is damaged or was tampered with. Delete that object on the server, push the release again from the signer’s machine and start a new rollout.',
};

const REFUSALS: Partial<Record<ReasonCode, Refusal>> = {
  'refused.board': {
    title: 'The release is for other boards',
    advice: 'Deploy it to devices of a board that it names, or build it for this board too.',
  },
  'refused.platform': {
    title: 'The release holds no image for this platform',
    advice: 'Build the release with images for this platform.',
  },
  'refused.admission': {
    title: 'The budgets do not fit this board',
    advice: 'Lower a memory budget or leave out a service, then build again.',
  },
  'refused.metadata-signature': {
    title: 'The release is not signed by keys that this device trusts',
    advice: 'Sign it with the release keys the device was set up with, then push it again.',
  },
  'refused.metadata-rollback': {
    title: 'The signed metadata is older than what the device trusts',
    advice: 'Somebody may be replaying an old state. Sign again with a higher version and push.',
  },
  'refused.metadata-expired': {
    title: 'The signed metadata has expired',
    advice: 'Sign the release again and push it; check the device’s clock as well.',
  },
  'refused.manifest-digest': tampered,
  'refused.blob-digest': tampered,
  'refused.generation': {
    title: 'The assignment is older than one the device accepted',
    advice: 'Start a new rollout; the device takes only newer generations.',
  },
  'refused.assignment-signature': {
    title: 'The assignment is not signed by this fleet',
    advice: 'The device was enrolled with another fleet key. Enrol it again.',
  },
  'refused.assignment-expired': {
    title: 'The assignment has expired',
    advice: 'Start a new rollout; check the device’s clock as well.',
  },
  'refused.disk': {
    title: 'There is not enough free disk space',
    advice: 'Free space on the device, then deploy again.',
  },
  'refused.system': {
    title: 'The system that the release brings cannot be put on the device',
    advice: 'Deploy a release without one for this board, or with one that fits its slots.',
  },
  'refused.bad-release': {
    title: 'This release failed on this device before',
    advice: 'Fix what failed and deploy a new version.',
  },
  'update.rolled-back': {
    title: 'The release did not stay healthy',
    advice: 'The release before runs again. See the history for the service that failed.',
  },
};

/** `code` is text here: a newer agent may send one this page does not know. */
export function refusalOf(code: string): Refusal {
  const known = (REFUSALS as Record<string, Refusal | undefined>)[code];
  return known ?? { title: 'The device refused the release', advice: '' };
}
