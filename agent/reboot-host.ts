import type { AgentConfig } from './config.ts';
import type { Host } from './supervisor/ports.ts';
import { runProgram } from './supervisor/runtime/run-program.ts';

/** Reboots through the system's own `reboot`, so that what runs is shut down in order; where that is allowed. */
export function rebootHost(policy: AgentConfig['reboot'], note: (reason: string) => Promise<void>): Host {
  return {
    reboot: async (reason) => {
      if (policy === 'never')
        return 'The configuration does not allow it; set "reboot" to "allowed" in agent.json';
      try {
        await rebootBoard(note, reason);
        return 'accepted';
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    },
  };
}

/** Throws why the board does not reboot. */
export async function rebootBoard(note: (reason: string) => Promise<void>, reason: string): Promise<void> {
  await note(reason);
  await runProgram('reboot', []);
}
