import { readFile } from 'node:fs/promises';
import type { PublicKey } from '../protocol/tuf.ts';
import { columns, days, type Invocation, need, print } from './cli-io.ts';
import { messageOf, ReleaseError } from './errors.ts';
import { writeDurably } from './files.ts';
import { DEFAULT_EXPIRES_DAYS, initKeys, type KeysInfo, readKeys, withIds } from './keys.ts';
import { passphraseOf } from './keys-passphrase.ts';
import { readRepository, readRepositoryIfAny, type SignerRepository } from './keys-repository.ts';
import { createKey, KEY_TYPES, type KeyType, ownKeys, parsePublicKey } from './keys-ring.ts';
import { FetchReleaseServer } from './server.ts';
import { type DraftFile, draftOn, openDraft, writeDraft } from './sign-draft.ts';
import { isTopRole, nextRoot, type RootChange, type TopRole } from './sign-root.ts';
import { delegate, nextTargets, withdraw } from './sign-targets.ts';
import { draftLines } from './sign-view.ts';

export const PASSPHRASE_HELP = `  --passphrase-file FILE   passphrase of the keys, its first line (or WHERRY_PASSPHRASE, or a terminal asks)
`;
const FOLDER_HELP = `  --keys FOLDER            where the keys are (or WHERRY_KEYS)
`;
const JSON_HELP = `  --json                   print the result as JSON
`;

export const DRAFT_OPTION_HELP = `${FOLDER_HELP}  -o, --out DRAFT          the file that travels
  --expires-days DAYS      until the metadata expires (default: 365)
${JSON_HELP}`;

export const INIT_HELP = `Usage: wherry keys init --keys FOLDER --server URL [--token TOKEN]

The signing keys of a release line for one person: one root and one targets key, one of one needed. For 2 of 3, make
the keys with wherry keys create and the root with wherry keys root.

${FOLDER_HELP}${PASSPHRASE_HELP}                           without a passphrase the keys stand in clear: for a demo only
  --server URL             fleet server whose online keys the root names (or WHERRY_SERVER)
  --token TOKEN            API token (or WHERRY_TOKEN)
  --expires-days DAYS      until the root expires (default: 365)
${JSON_HELP}`;
export const CREATE_HELP = `Usage: wherry keys create ROLE --keys FOLDER

Makes a private key and keeps it encrypted in the folder. ROLE is what it is meant for: root, targets or a team.

${FOLDER_HELP}${PASSPHRASE_HELP}  --type TYPE              ed25519 (default) or ecdsa-p256
${JSON_HELP}`;
export const LIST_HELP = `Usage: wherry keys list --keys FOLDER

Shows the private keys of the folder and what today's root and targets let them sign.

${FOLDER_HELP}${JSON_HELP}`;
export const SHOW_HELP = `Usage: wherry keys show --keys FOLDER

Shows the newest root that the folder trusts: who may sign for what.

${FOLDER_HELP}${JSON_HELP}`;
export const EXPORT_HELP = `Usage: wherry keys export KEYID --keys FOLDER [-o FILE]

Prints the public half of a key of the folder as JSON. The beginning of the keyid is enough.

${FOLDER_HELP}  -o, --out FILE           write it there
      --public             what it does anyway: a private key is never printed
`;
export const ROOT_HELP = `Usage: wherry keys root -o DRAFT --keys FOLDER [change …]

Drafts the first root, or the next: for rotations, more or fewer keys, other thresholds. Sign the draft with
wherry release sign, on each signer's machine in turn: old and new root keys both have to.

${FOLDER_HELP}  -o, --out DRAFT          the file that travels
  --add ROLE=FILE          public key that may sign for root, targets, snapshot or timestamp from now on
  --remove ROLE=KEYID      key that may no more; the beginning of its keyid
  --threshold ROLE=N       how many keys of the role have to sign
  --server URL             fleet server whose online keys sign snapshot and timestamp from now on (or WHERRY_SERVER)
  --token TOKEN            API token (or WHERRY_TOKEN)
  --expires-days DAYS      until the root expires (default: 365)
${JSON_HELP}`;
export const DELEGATE_HELP = `Usage: wherry keys delegate ROLE -o DRAFT --keys FOLDER --key FILE … --path PATTERN …

Drafts targets that let a team sign releases of its own. A pattern is like releases/camera/*/manifest.json.

${FOLDER_HELP}  -o, --out DRAFT          the file that travels
  --key FILE               public key of the team, once for each
  --path PATTERN           target paths that it may sign, once for each
  --threshold N            how many of the keys have to sign (default: 1)
  --terminating            roles after this one are not asked for these paths
  --expires-days DAYS      until the targets expire (default: 365)
${JSON_HELP}`;
export const WITHDRAW_HELP = `Usage: wherry keys withdraw ROLE -o DRAFT --keys FOLDER

Drafts targets that let a team sign no more.

${FOLDER_HELP}  -o, --out DRAFT          the file that travels
  --expires-days DAYS      until the targets expire (default: 365)
${JSON_HELP}`;

export const folderOf = (invocation: Invocation): string =>
  need(invocation, 'keys', 'WHERRY_KEYS', 'keys folder');

export async function runKeysInit(invocation: Invocation): Promise<number> {
  const keysDir = folderOf(invocation);
  const { values, io } = invocation;
  const isGiven = values['passphrase-file'] !== undefined || Boolean(io.env['WHERRY_PASSPHRASE']);
  const passphrase = isGiven ? await passphraseOf(invocation)('the new keys') : undefined;
  const onlineKeys = await serverOf(invocation).onlineKeys();
  const made = { keysDir, onlineKeys, ...days(invocation), ...(passphrase !== undefined && { passphrase }) };
  show(invocation, await initKeys(made), [
    ['keys', passphrase === undefined ? 'in clear: for a demo only' : 'encrypted'],
  ]);
  return 0;
}

export async function runKeysShow(invocation: Invocation): Promise<number> {
  show(invocation, await readKeys(folderOf(invocation)));
  return 0;
}

function show(invocation: Invocation, info: KeysInfo, more: string[][] = []): void {
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
      ...more,
    ]),
  );
}

export async function runKeysCreate(invocation: Invocation): Promise<number> {
  const [role = ''] = invocation.operands;
  const type = invocation.values['type'] ?? 'ed25519';
  if (!(KEY_TYPES as readonly string[]).includes(type))
    throw new ReleaseError('usage', `Cannot make a key of type ${type}: wanted ${KEY_TYPES.join(' or ')}`);
  const passphrase = await passphraseOf(invocation, true)('the new key');
  const { keyid, file } = await createKey({
    keysDir: folderOf(invocation),
    role,
    type: type as KeyType,
    passphrase,
  });
  print(invocation, { keyid, role, type, file }, [`Made ${type} key ${keyid} for ${role} in ${file}`]);
  return 0;
}

export async function runKeysList(invocation: Invocation): Promise<number> {
  const keysDir = folderOf(invocation);
  const keys = await ownKeys(keysDir);
  const repository = await readRepositoryIfAny(keysDir);
  const rows = keys.map(({ keyid, role, isEncrypted, public: { keytype } }) => ({
    keyid,
    role,
    type: keytype,
    isEncrypted,
    signsFor: repository ? rolesOf(repository, keyid) : [],
  }));
  const lines = rows.map(({ keyid, role, type, isEncrypted, signsFor }) => [
    keyid.slice(0, 16),
    role,
    type,
    isEncrypted ? 'encrypted' : 'in clear',
    signsFor.join(', ') || '-',
  ]);
  print(
    invocation,
    { keys: rows },
    columns([['KEYID', 'MADE FOR', 'TYPE', 'AT REST', 'SIGNS FOR'], ...lines]),
  );
  return 0;
}

function rolesOf({ roots, targets }: SignerRepository, keyid: string): string[] {
  const named = Object.entries(roots.at(-1)?.metadata.signed.roles ?? {});
  const delegated = Object.entries(targets?.metadata.signed.delegations?.roles ?? {});
  return [...named, ...delegated].filter(([, { keyIDs }]) => keyIDs.includes(keyid)).map(([role]) => role);
}

export async function runKeysExport(invocation: Invocation): Promise<number> {
  const [start = ''] = invocation.operands;
  const keysDir = folderOf(invocation);
  const keys = (await ownKeys(keysDir)).filter(({ keyid }) => keyid.startsWith(start));
  const key = keys[0];
  if (!key || keys.length > 1)
    throw new ReleaseError(
      'keys',
      `Cannot export key "${start}": ${keys.length} keys in ${keysDir} start so`,
    );
  const text = `${JSON.stringify(key.public, null, 1)}\n`;
  const out = invocation.values['out'];
  if (out === undefined) invocation.io.stdout.write(text);
  else await writeDurably(out, text);
  return 0;
}

export async function runKeysRoot(invocation: Invocation): Promise<number> {
  const keysDir = folderOf(invocation);
  const repository = await readRepositoryIfAny(keysDir);
  const last = repository?.roots.at(-1)?.metadata;
  const server = invocation.values['server'] ?? (last ? undefined : invocation.io.env['WHERRY_SERVER']);
  const change: RootChange = {
    add: await Promise.all(
      list(invocation, 'add').map(async ([role, file]) => ({ role, ...(await publicKeyFrom(file)) })),
    ),
    remove: list(invocation, 'remove').map(([role, keyid]) => ({ role, keyid })),
    thresholds: Object.fromEntries(
      list(invocation, 'threshold').map(([role, count]) => [role, wholeNumber(count)]),
    ),
    onlineKeys: server === undefined ? undefined : withIds(await serverOf(invocation).onlineKeys()),
    expiresDays: days(invocation).expiresDays ?? DEFAULT_EXPIRES_DAYS,
  };
  const text = nextRoot(last, change);
  const on = repository ?? { roots: [], targets: undefined, delegated: new Map() };
  return keepDraft(invocation, draftOn(on, 'root', text));
}

export async function runKeysDelegate(invocation: Invocation): Promise<number> {
  const [role = ''] = invocation.operands;
  const keys = await Promise.all((invocation.lists['key'] ?? []).map(publicKeyFrom));
  const change = delegate({
    role,
    keys,
    threshold: wholeNumber(invocation.values['threshold'] ?? '1'),
    paths: invocation.lists['path'] ?? [],
    isTerminating: invocation.flags['terminating'] === true,
  });
  return draftTargets(invocation, () => change);
}

export async function runKeysWithdraw(invocation: Invocation): Promise<number> {
  return draftTargets(invocation, () => withdraw(invocation.operands[0] ?? ''));
}

/** Drafts the next targets with a change that names no release. */
export async function draftTargets(
  invocation: Invocation,
  changeOf: (repository: SignerRepository) => Parameters<typeof nextTargets>[2],
): Promise<number> {
  const repository = await readRepository(folderOf(invocation));
  const expiresDays = days(invocation).expiresDays ?? DEFAULT_EXPIRES_DAYS;
  const text = nextTargets(repository.targets?.metadata, expiresDays, changeOf(repository));
  return keepDraft(invocation, draftOn(repository, 'targets', text));
}

/** Writes a draft and shows what it would say. */
export async function keepDraft(invocation: Invocation, file: DraftFile): Promise<number> {
  const out = invocation.values['out'];
  if (out === undefined) throw new ReleaseError('usage', 'Cannot go on: no draft file is given; set --out');
  const draft = openDraft(file);
  const lines = draftLines(draft);
  await writeDraft(out, file);
  print(invocation, { draft: out, role: file.role, version: draft.metadata.signed.version }, [
    ...lines,
    '',
    `Drafted ${out}; sign it with wherry release sign`,
  ]);
  return 0;
}

async function publicKeyFrom(file: string): Promise<{ keyid: string; key: PublicKey }> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new ReleaseError('keys', `Cannot read a public key: ${messageOf(cause)}`, { cause });
  });
  const key = parsePublicKey(text, file);
  return { keyid: key.keyID, key: key.toJSON() as unknown as PublicKey };
}

/** `ROLE=VALUE` options, checked. */
function list({ lists }: Invocation, option: string): [TopRole, string][] {
  return (lists[option] ?? []).map((text) => {
    const [, role = '', value = ''] = /^([a-z]+)=(.+)$/.exec(text) ?? [];
    if (!isTopRole(role))
      throw new ReleaseError(
        'usage',
        `Cannot use --${option} ${text}: wanted root, targets, snapshot or timestamp, =, and a value`,
      );
    return [role, value];
  });
}

function wholeNumber(text: string): number {
  if (!/^[1-9][0-9]?$/.test(text))
    throw new ReleaseError('usage', `Cannot use threshold ${text}: it is not a number from 1 to 99`);
  return Number(text);
}

export function serverOf(invocation: Invocation): FetchReleaseServer {
  const url = need(invocation, 'server', 'WHERRY_SERVER', 'server');
  return new FetchReleaseServer(url, invocation.values['token'] ?? invocation.io.env['WHERRY_TOKEN']);
}
