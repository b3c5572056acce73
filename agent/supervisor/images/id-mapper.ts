import type { IdRange } from '../runtime/placement.ts';
import { runProgram } from '../runtime/run-program.ts';
import { IDMAP_SCRIPT } from './idmap-script.ts';

export interface Bind {
  source: string;
  target: string;
}

/** Mounts folders a second time so that the ids in them appear shifted into a range. */
export interface IdMapper {
  /** All of one service together; what is mounted below a source does not come along. */
  bind(range: IdRange, binds: readonly Bind[]): Promise<void>;
}

/**
 * Idmapped mounts (mount_setattr(2); erofs and overlay lower layers from Linux 5.19, tmpfs from 6.3). mount(8) knows
 * them from util-linux 2.39 on, Debian 12 has 2.38; perl-base is on every Debian and calls the kernel itself.
 */
export class PerlIdMapper implements IdMapper {
  async bind({ hostBase, size }: IdRange, binds: readonly Bind[]): Promise<void> {
    const paths = binds.flatMap(({ source, target }) => [source, target]);
    await runProgram('perl', ['-e', IDMAP_SCRIPT, String(hostBase), String(size), ...paths]);
  }
}
