import { admissionTable, admit } from '../../protocol/admission.ts';
import type { Board } from '../../protocol/board.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { ProblemError } from '../problems.ts';

/** Throws unless every board the release names is known, has images in it and holds its budgets. */
export function checkBoards(manifest: Manifest, boards: readonly Board[]): void {
  for (const name of manifest.boards) {
    const board = boards.find((each) => each.name === name);
    if (!board) {
      throw new ProblemError(
        'release.board-unknown',
        `Cannot publish for board "${name}": this server knows ${boards.map((each) => each.name).join(', ')}`,
      );
    }
    const { services, agent } = manifest;
    const bare = [...Object.entries(services), ...(agent ? [['the agent', agent] as const] : [])]
      .filter(([, { images }]) => !images[board.platform])
      .map(([name]) => name);
    if (bare.length > 0) {
      throw new ProblemError(
        'release.platform-missing',
        `Cannot publish for board "${name}": ${bare.join(', ')} ${bare.length > 1 ? 'have' : 'has'} no image for ${board.platform}; build for it`,
      );
    }
    const admission = admit(manifest, board);
    if (!admission.fits) {
      throw new ProblemError(
        'release.admission',
        `Cannot publish for board "${name}": the budgets do not fit; lower a budget\n${admissionTable(admission)}`,
      );
    }
  }
}
