import type { Report } from '../protocol/messages.ts';

/** What watchers are told of. Only the newest of each thing matters, so calls are cheap and may be merged. */
export interface Feed {
  deviceChanged(device: string): void;
  reported(device: string, report: Report): void;
  postMortemCame(device: string, id: string): void;
  rolloutChanged(rollout: string): void;
  releaseChanged(release: string): void;
}
