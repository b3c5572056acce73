import { columns, days, type Invocation, need, print } from './cli-io.ts';
import { initKeys, type KeysInfo, readKeys } from './keys.ts';
import { FetchReleaseServer } from './server.ts';

export const KEYS_HELP = `Usage: wherry keys init --keys FOLDER --server URL [--token TOKEN]
       wherry keys show --keys FOLDER

The signing keys of a release line: made once, kept off the server. One root and one targets key, one of one needed.

  --keys FOLDER          where the keys are (or WHERRY_KEYS)
  --server URL           fleet server whose online keys the root names (or WHERRY_SERVER)
  --token TOKEN          API token (or WHERRY_TOKEN)
  --expires-days DAYS    until the root expires (default: 365)
  --json                 print the result as JSON
`;

export async function runKeysInit(invocation: Invocation): Promise<number> {
  const keysDir = need(invocation, 'keys', 'WHERRY_KEYS', 'keys folder');
  const url = need(invocation, 'server', 'WHERRY_SERVER', 'server');
  const server = new FetchReleaseServer(url, invocation.values['token'] ?? invocation.io.env['WHERRY_TOKEN']);
  show(invocation, await initKeys({ keysDir, onlineKeys: await server.onlineKeys(), ...days(invocation) }));
  return 0;
}

export async function runKeysShow(invocation: Invocation): Promise<number> {
  show(invocation, await readKeys(need(invocation, 'keys', 'WHERRY_KEYS', 'keys folder')));
  return 0;
}

function show(invocation: Invocation, info: KeysInfo): void {
  print(
    invocation,
    info,
    columns([
      ['folder', info.keysDir],
      ['root', `version ${info.rootVersion}, expires ${info.rootExpires}`],
      ['targets', info.targetsVersion > 0 ? `version ${info.targetsVersion}` : 'nothing signed yet'],
      ...info.roles.map(({ role, threshold, keyIds }) => [
        role,
        `${threshold} of ${keyIds.length}: ${keyIds.map((id) => id.slice(0, 16)).join(', ')}`,
      ]),
    ]),
  );
}
