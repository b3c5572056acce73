import { admissionTable, admit } from '../../protocol/admission.ts';
import type { Board } from '../../protocol/board.ts';
import { sha256Hex } from '../../protocol/canonical.ts';
import { checkManifest, type Manifest, type Platform } from '../../protocol/manifest.ts';
import { formatBytes } from '../../protocol/quantities.ts';
import type { ReasonCode } from '../../protocol/reasons.ts';
import { systemImageOf } from '../system-slots/system-image.ts';
import { labelOf, type ReleaseRef } from './core/record.ts';
import type { SystemSlots } from './ports.ts';

export interface Refusal {
  ok: false;
  code: ReasonCode;
  message: string;
}
export type CheckedManifest = { ok: true; manifest: Manifest } | Refusal;

/** What a release has to fit. */
export interface Place {
  board: Board;
  platform: Platform;
  /** What a slot of it holds; undefined: it has none. */
  slots: SystemSlots['capacity'] | undefined;
}

/** Whether this device may and can run what a manifest says. `content` is not trusted. `old`: what it runs. */
export function judgeManifest(
  content: Buffer,
  release: ReleaseRef,
  { board, platform, slots }: Place,
  old?: Pick<Manifest, 'channels'>,
): CheckedManifest {
  const refuse = (code: ReasonCode, message: string): Refusal => ({
    ok: false,
    code,
    message: `Cannot install ${labelOf(release)}: ${message}`,
  });
  if (sha256Hex(content) !== release.manifest)
    return refuse('refused.manifest-digest', 'the manifest that came is not the one that was signed');
  const checked = checkManifest(parseJson(content));
  if (!checked.ok) return refuse('refused.manifest-malformed', checked.faults.join('; '));
  const manifest = checked.value;
  if (manifest.name !== release.name || manifest.version !== release.version)
    return refuse('refused.manifest-malformed', `its manifest is of ${manifest.name} ${manifest.version}`);
  if (!manifest.boards.includes(board.name))
    return refuse('refused.board', `it is for ${manifest.boards.join(', ')}; this is a "${board.name}"`);
  const without = Object.entries(manifest.services).filter(([, service]) => !service.images[platform]);
  if (without.length > 0)
    return refuse(
      'refused.platform',
      `${without.map(([name]) => `service "${name}"`).join(', ')} has no image for ${platform}`,
    );
  if (manifest.agent && !manifest.agent.images[platform])
    return refuse('refused.platform', `the agent that it brings has no image for ${platform}`);
  const misfit = systemMisfit(manifest, board, slots);
  if (misfit !== undefined) return refuse('refused.system', misfit);
  const admission = admit(manifest, board, old);
  if (!admission.fits)
    return refuse('refused.admission', `it does not fit this board\n${admissionTable(admission)}`);
  return { ok: true, manifest };
}

function systemMisfit(manifest: Manifest, board: Board, slots: Place['slots']): string | undefined {
  const system = systemImageOf(manifest, board.name);
  if (system === undefined) return undefined;
  if (slots === undefined)
    return 'it brings a system for this board, and this device has no slots to put one in; leave its board out of the system';
  const parts = [
    ['boot partition', system.boot.size, slots.bootBytes],
    ['root filesystem', system.root.size, slots.rootBytes],
  ] as const;
  const large = parts.find(([, wanted, has]) => wanted > has);
  return (
    large &&
    `the ${large[0]} of its system ${system.version} has ${formatBytes(large[1])}; a slot of this device holds ${formatBytes(large[2])}`
  );
}

function parseJson(content: Buffer): unknown {
  try {
    return JSON.parse(content.toString('utf8'));
  } catch {
    return undefined;
  }
}
