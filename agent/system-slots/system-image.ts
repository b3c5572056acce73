import { sha256Hex } from '../../protocol/canonical.ts';
import { type Manifest, type ManifestBlob, systemFor } from '../../protocol/manifest.ts';

/** The system that a release brings, for one board. */
export interface SystemImage {
  /** Version, and what tells apart builds that call themselves by one version. */
  id: string;
  version: string;
  boot: ManifestBlob;
  root: ManifestBlob;
}

const ID_DIGITS = 12;

export function systemImageOf(manifest: Manifest, board: string): SystemImage | undefined {
  const { system } = manifest;
  const held = systemFor(manifest, board);
  if (system === undefined || held === undefined) return undefined;
  const { boot, root } = held;
  const digest = sha256Hex(`${boot.verity}\n${root.verity}`);
  return { id: `${system.version}-${digest.slice(0, ID_DIGITS)}`, version: system.version, boot, root };
}
