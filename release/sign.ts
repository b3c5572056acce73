import { targetPath } from '../protocol/manifest.ts';
import { parseRole, roleText, type SignedRole, signersOf, signRole } from '../protocol/tuf.ts';
import { ReleaseError } from './errors.ts';
import { readManifest, writeMetadata } from './folder.ts';
import { DEFAULT_EXPIRES_DAYS } from './keys.ts';
import { keepMetadata, lastRoot, readRepository } from './keys-repository.ts';
import { ownKeys, type Passphrase } from './keys-ring.ts';
import { keepManifests } from './sign-round.ts';
import { nameRelease, nextTargets, requireSameContent } from './sign-targets.ts';

export interface SignResult {
  name: string;
  version: string;
  manifestSha256: string;
  targetsVersion: number;
  signedBy: string[];
  /** False when this very manifest was signed before. */
  isNew: boolean;
}

const NONE: Passphrase = async (what) => {
  throw new ReleaseError('passphrase', `Cannot open ${what}: no passphrase is given`);
};

/**
 * Adds the release's manifest to the signer's targets and puts the metadata into the release folder, for a signer who
 * alone holds enough keys. The signer's state is durable before the folder shows the signature. A name and version
 * stand for one content for ever.
 */
export async function signRelease(options: {
  dir: string;
  keysDir: string;
  expiresDays?: number;
  passphrase?: Passphrase;
}): Promise<SignResult> {
  const { dir, keysDir, expiresDays = DEFAULT_EXPIRES_DAYS, passphrase = NONE } = options;
  const file = await readManifest(dir);
  const repository = await readRepository(keysDir);
  const last = repository.targets?.metadata;
  const before = last?.signed.targets[targetPath(file.manifest.name, file.manifest.version)];
  requireSameContent(file.manifest, before?.hashes['sha256'], file.sha256);
  const root = lastRoot(repository.roots, keysDir);
  let targets = before ? last : undefined;
  if (!targets) {
    targets = parseRole('targets', nextTargets(last, expiresDays, nameRelease(file)));
    await signByOwn(keysDir, root, targets, passphrase);
    await keepMetadata(keysDir, 'targets', roleText(targets));
    await keepManifests(keysDir, [file.bytes.toString('utf8')]);
  }
  await writeMetadata(dir, {
    roots: repository.roots.map(({ text }) => text),
    targets: roleText(targets),
    delegated: {},
  });
  return {
    name: file.manifest.name,
    version: file.manifest.version,
    manifestSha256: file.sha256,
    targetsVersion: targets.signed.version,
    signedBy: signersOf(root, 'targets', targets),
    isNew: targets !== last,
  };
}

async function signByOwn(
  keysDir: string,
  root: SignedRole<'root'>,
  targets: SignedRole<'targets'>,
  passphrase: Passphrase,
): Promise<void> {
  const named = root.signed.roles['targets'];
  if (!named) throw new ReleaseError('keys', 'Cannot sign: root names no keys for targets');
  const { threshold } = named;
  const entitled = (await ownKeys(keysDir)).filter(({ keyid }) => named.keyIDs.includes(keyid));
  if (entitled.length < threshold)
    throw new ReleaseError(
      'threshold',
      `Cannot sign with ${keysDir} alone: targets need ${threshold} of ${named.keyIDs.length} signatures and it holds ${entitled.length} of the keys; run wherry release draft`,
    );
  for (const key of entitled.slice(0, threshold)) signRole(targets, await key.open(passphrase));
}
