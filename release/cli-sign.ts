import { readFile, stat } from 'node:fs/promises';
import { sha256Hex } from '../protocol/canonical.ts';
import { days, type Invocation, print } from './cli-io.ts';
import { DRAFT_OPTION_HELP, draftTargets, folderOf, keepDraft, PASSPHRASE_HELP } from './cli-keys.ts';
import { messageOf, ReleaseError } from './errors.ts';
import { readManifest } from './folder.ts';
import { DEFAULT_EXPIRES_DAYS } from './keys.ts';
import { agrees, isTerminal, passphraseOf } from './keys-passphrase.ts';
import { signRelease } from './sign.ts';
import { type Draft, isComplete, readDraft, requireComplete, short, wantedOf } from './sign-draft.ts';
import { draftRelease, keepIfComplete, meetDraft, type SignWith, signDraft } from './sign-round.ts';
import { raiseFloor } from './sign-targets.ts';
import { draftLines, signatureLines } from './sign-view.ts';

export const SIGN_HELP = `Usage: wherry release sign FOLDER --keys FOLDER
       wherry release sign DRAFT --keys FOLDER [--signer COMMAND --key KEYID]

Signs a release folder, where the keys at hand are enough, or adds signatures to a draft. What a draft would say is
shown first; a terminal is asked, and without one --yes is needed. Signing the same again changes nothing.

  --keys FOLDER            the signer's keys (or WHERRY_KEYS)
${PASSPHRASE_HELP}  --signer COMMAND         program that signs instead: bytes on its standard input, signature on its standard output
  --key KEYID              whose signature that is
  --root FILE              root metadata to trust, for a folder that trusts none yet
  --yes                    sign without being asked
  --expires-days DAYS      of a folder: until the signature expires (default: 365)
  --json                   print the result as JSON
`;
export const DRAFT_HELP = `Usage: wherry release draft FOLDER -o DRAFT --keys FOLDER

Drafts the metadata that names a release, for several people to sign. Of a release that is signed already it drafts a
renewal. The keys folder needs no private key for this.

${DRAFT_OPTION_HELP}  --role ROLE              sign as this team instead of targets
`;
export const FLOOR_HELP = `Usage: wherry release floor NAME VERSION -o DRAFT --keys FOLDER

Drafts targets that set the floor of a release line: no device installs a release of it older than VERSION any more,
not even back from a newer one. A floor only rises.

${DRAFT_OPTION_HELP}`;
export const REVIEW_HELP = `Usage: wherry release review DRAFT

Shows what a draft would say, who signed it and who is missing. Exit code 4: signatures are missing.

  --json                   print the result as JSON
`;
export const ACCEPT_HELP = `Usage: wherry release accept DRAFT --keys FOLDER

Keeps a draft that has all its signatures as the metadata in force, so that the next one follows it.

  --keys FOLDER            the signer's keys (or WHERRY_KEYS)
  --root FILE              root metadata to trust, for a folder that trusts none yet
  --json                   print the result as JSON
`;

export async function runDraft(invocation: Invocation): Promise<number> {
  const [dir = ''] = invocation.operands;
  const file = await readManifest(dir);
  const { expiresDays = DEFAULT_EXPIRES_DAYS } = days(invocation);
  const role = invocation.values['role'] ?? 'targets';
  return keepDraft(
    invocation,
    await draftRelease({ keysDir: folderOf(invocation), role, file, expiresDays }),
  );
}

export async function runFloor(invocation: Invocation): Promise<number> {
  const [name = '', version = ''] = invocation.operands;
  return draftTargets(invocation, ({ targets }) => raiseFloor(targets?.metadata, name, version));
}

export async function runReview(invocation: Invocation): Promise<number> {
  const draft = await readDraft(invocation.operands[0] ?? '');
  print(invocation, summaryOf(draft), draftLines(draft));
  return isComplete(wantedOf(draft)) ? 0 : 4;
}

export async function runAccept(invocation: Invocation): Promise<number> {
  const draft = await readDraft(invocation.operands[0] ?? '');
  const keysDir = folderOf(invocation);
  await meet(invocation, keysDir, draft);
  requireComplete(draft);
  await keepIfComplete(keysDir, draft);
  print(invocation, summaryOf(draft), [`${draft.role} version ${draft.metadata.signed.version} is in force`]);
  return 0;
}

export async function runSign(invocation: Invocation): Promise<number> {
  const [path = ''] = invocation.operands;
  // The command line first: a wrong option is told whatever is on the disk.
  folderOf(invocation);
  days(invocation);
  const what = await stat(path).catch((cause: unknown) => {
    throw new ReleaseError('folder', `Cannot sign ${path}: ${messageOf(cause)}`, { cause });
  });
  return what.isDirectory() ? signFolder(invocation, path) : signFile(invocation, path);
}

async function signFolder(invocation: Invocation, dir: string): Promise<number> {
  const options = { dir, keysDir: folderOf(invocation), passphrase: passphraseOf(invocation) };
  const result = await signRelease({ ...options, ...days(invocation) });
  const verb = result.isNew ? 'Signed' : 'Was signed already:';
  print(invocation, result, [
    `${verb} ${result.name} ${result.version}, targets version ${result.targetsVersion}, by ${result.signedBy.map(short).join(', ')}`,
  ]);
  return 0;
}

async function signFile(invocation: Invocation, path: string): Promise<number> {
  const draft = await readDraft(path);
  const keysDir = folderOf(invocation);
  await meet(invocation, keysDir, draft);
  // Words: what is signed has to be seen also where the result goes to a program.
  invocation.io.stderr.write(
    draftLines(draft)
      .map((line) => `${line}\n`)
      .join(''),
  );
  await requireConsent(invocation);
  const signedNow = await signDraft(path, draft, keysDir, signerOf(invocation));
  const isInForce = await keepIfComplete(keysDir, draft);
  print(invocation, { ...summaryOf(draft), signedNow }, [
    `Signed ${draft.role} version ${draft.metadata.signed.version} by ${signedNow.map(short).join(', ')}`,
    ...signatureLines(draft),
    ...(isInForce ? ['All signatures are there: the others keep it with wherry release accept'] : []),
  ]);
  return 0;
}

async function requireConsent(invocation: Invocation): Promise<void> {
  if (invocation.flags['yes']) return;
  if (!isTerminal(invocation.io.stdin))
    throw new ReleaseError(
      'usage',
      'Cannot sign: there is no terminal to ask; read the draft, then set --yes',
    );
  if (await agrees(invocation, 'Sign this? [y/N] ')) return;
  throw new ReleaseError('policy', 'Not signed: not agreed to');
}

function signerOf(invocation: Invocation): SignWith {
  const { signer: command, key: keyid } = invocation.values;
  if (command === undefined) return { kind: 'keys', passphrase: passphraseOf(invocation) };
  if (keyid === undefined || keyid.length < 8)
    throw new ReleaseError(
      'usage',
      'Cannot use --signer: set --key to the keyid it signs for, 8 digits at least',
    );
  return { kind: 'command', command, keyid };
}

/** The draft has to continue what the folder trusts; one that trusts nothing yet is told what it would begin to trust. */
async function meet(invocation: Invocation, keysDir: string, draft: Draft): Promise<void> {
  const file = invocation.values['root'];
  const trusted = file === undefined ? undefined : await readFile(file, 'utf8');
  const { isFirstContact } = await meetDraft(keysDir, draft, trusted);
  if (!isFirstContact) return;
  const first = draft.roots[0];
  if (!isTerminal(invocation.io.stdin))
    throw new ReleaseError(
      'draft',
      `Cannot trust the draft: ${keysDir} trusts no root yet; name the root that the other signers trust with --root`,
    );
  invocation.io.stderr.write(
    `${keysDir} trusts no root yet. Compare root ${first?.metadata.signed.version} of this draft with the other signers:\n  sha256 ${sha256Hex(first?.text ?? '')}\n`,
  );
  if (!(await agrees(invocation, 'Is it the same? [y/N] ')))
    throw new ReleaseError('policy', 'Not trusted: not agreed to');
}

function summaryOf(draft: Draft) {
  const wanted = wantedOf(draft);
  return {
    role: draft.role,
    version: draft.metadata.signed.version,
    isComplete: isComplete(wanted),
    wanted,
    changes: draftLines(draft),
  };
}
