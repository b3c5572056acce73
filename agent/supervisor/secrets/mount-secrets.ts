import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram } from '../runtime/run-program.ts';
import type { ServiceSpec } from '../service-spec.ts';
import type { SecretStore } from './secret-store.ts';

const SIZE = 'size=1m,mode=711,nosuid,nodev,noexec';

/**
 * Opens the service's secrets into a tmpfs of its own at `folder`, readable by its user alone. In memory only: the
 * tmpfs does not swap where the kernel can do that (6.4). Throws with code wait.secret when one is not there.
 */
export async function mountSecrets(
  spec: ServiceSpec,
  store: SecretStore,
  folder: string,
  hostBase: number,
): Promise<string | undefined> {
  if (!spec.secrets?.length) return undefined;
  const contents = new Map<string, Buffer>();
  for (const { name } of spec.secrets) contents.set(name, await open(spec.name, store, name));
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  const mount = (options: string) =>
    runProgram('mount', ['-t', 'tmpfs', '-o', options, 'wherry-secrets', folder]);
  await mount(`${SIZE},noswap`).catch(() => mount(SIZE));
  for (const [name, content] of contents) {
    const path = join(folder, name);
    writeFileSync(path, content, { mode: 0o400 });
    chownSync(path, hostBase + spec.uid, hostBase + spec.gid);
  }
  return folder;
}

async function open(service: string, store: SecretStore, name: string): Promise<Buffer> {
  try {
    const content = await store.open(name);
    if (content !== undefined) return content;
  } catch (error) {
    throw Object.assign(error as Error, { code: 'wait.secret' });
  }
  const message = `Cannot start service "${service}": secret "${name}" is not on this device; put it there`;
  throw Object.assign(new Error(message), { code: 'wait.secret' });
}
