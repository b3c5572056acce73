import { sha256Hex } from '../../protocol/canonical.ts';
import type { Manifest, ManifestLayer, Platform } from '../../protocol/manifest.ts';

/** The agent that a release brings, for one platform. */
export interface AgentImage {
  /** Its folder's name: version, and what tells apart builds that call themselves by one version. */
  id: string;
  version: string;
  layers: readonly ManifestLayer[];
}

const ID_DIGITS = 12;

export function agentImageOf({ agent }: Manifest, platform: Platform): AgentImage | undefined {
  const layers = agent?.images[platform]?.layers;
  if (agent === undefined || layers === undefined) return undefined;
  const digest = sha256Hex(layers.map(({ verity }) => verity).join('\n'));
  return { id: `${agent.version}-${digest.slice(0, ID_DIGITS)}`, version: agent.version, layers };
}
