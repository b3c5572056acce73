import type { FatFiles } from '../../boards/fat.ts';
import type { TestFleet } from './fleet-server.ts';

/** What a flasher writes onto the first partition, for a board to enrol by itself. */
export async function enrolmentFiles(fleet: TestFleet, name: string, rootText: string): Promise<FatFiles> {
  const token = await fleet.api('POST', '/enrolment-tokens', { uses: 1, expiresInSeconds: 3600 });
  const wishes = { name, server: token.body.joinString };
  return { 'wherry.json': Buffer.from(JSON.stringify(wishes)), 'root.json': Buffer.from(rootText) };
}
