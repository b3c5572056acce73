import { join } from 'node:path';
import { TargetFile } from '@tufjs/models';
import { targetPath } from '../protocol/manifest.ts';
import { roleText, type SignedRole, signersOf, signRole } from '../protocol/tuf.ts';
import { ReleaseError } from './errors.ts';
import { createDurably, isErrno, writeDurably } from './files.ts';
import { type ManifestFile, metadataDir, readManifest } from './folder.ts';
import { DEFAULT_EXPIRES_DAYS, lastRoot, nextTargets, readRepository, targetsKey } from './keys.ts';

export interface SignResult {
  name: string;
  version: string;
  manifestSha256: string;
  targetsVersion: number;
  signedBy: string[];
  /** False when this very manifest was signed before. */
  isNew: boolean;
}

/**
 * Adds the release's manifest to the signer's targets and puts the metadata into the release folder. The signer's
 * state is durable before the folder shows the signature. A name and version stand for one content for ever.
 */
export async function signRelease(options: {
  dir: string;
  keysDir: string;
  expiresDays?: number;
}): Promise<SignResult> {
  const { dir, keysDir } = options;
  const file = await readManifest(dir);
  const { roots, targets: last } = await readRepository(keysDir);
  const path = targetPath(file.manifest.name, file.manifest.version);
  const before = last?.signed.targets[path];
  if (before && before.hashes['sha256'] !== file.sha256)
    throw new ReleaseError(
      'already-signed',
      `Cannot sign ${file.manifest.name} ${file.manifest.version}: another manifest was signed under this version; raise the version`,
    );
  const targets =
    before && last
      ? last
      : await signNext(keysDir, last, path, file, options.expiresDays ?? DEFAULT_EXPIRES_DAYS);
  for (const root of roots)
    await writeDurably(join(metadataDir(dir), `${root.signed.version}.root.json`), roleText(root));
  await writeDurably(join(metadataDir(dir), 'targets.json'), roleText(targets));
  return {
    name: file.manifest.name,
    version: file.manifest.version,
    manifestSha256: file.sha256,
    targetsVersion: targets.signed.version,
    signedBy: signersOf(lastRoot(roots, keysDir), 'targets', targets),
    isNew: targets !== last,
  };
}

async function signNext(
  keysDir: string,
  last: SignedRole<'targets'> | undefined,
  path: string,
  { bytes, sha256 }: ManifestFile,
  expiresDays: number,
): Promise<SignedRole<'targets'>> {
  const target = new TargetFile({ path, length: bytes.length, hashes: { sha256 } });
  const targets = nextTargets(last, { [path]: target }, expiresDays);
  signRole(targets, await targetsKey(keysDir));
  const { version } = targets.signed;
  try {
    await createDurably(join(keysDir, 'repository', `${version}.targets.json`), roleText(targets));
  } catch (cause) {
    if (!isErrno(cause, 'EEXIST')) throw cause;
    throw new ReleaseError(
      'keys',
      `Cannot sign with ${keysDir}: targets version ${version} was signed meanwhile; sign again`,
      { cause },
    );
  }
  return targets;
}
