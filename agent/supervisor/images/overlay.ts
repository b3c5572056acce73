import { runProgram } from '../runtime/run-program.ts';

/** From util-linux 2.39 on mount(8) calls fsconfig(2), which takes 256 bytes of an option; mount(2) takes the page. */
const ONE_PAGE = { LIBMOUNT_FORCE_MOUNT2: 'always' } as const;

/** Mounts an overlay; names in the options may be relative to `cwd`, so that many layers fit. */
export async function mountOverlay(options: string, point: string, cwd: string): Promise<void> {
  await runProgram('mount', ['-t', 'overlay', '-o', options, 'wherry', point], cwd, ONE_PAGE);
}
