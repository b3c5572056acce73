import { checkManifest, type Manifest } from '../../protocol/manifest.ts';
import type { DesiredServices, ServiceSpec } from '../supervisor/service-spec.ts';
import { inForce, type UpdateRecord } from './core/record.ts';

/** What the record wants to run; nothing before the first release. */
export function desiredServices(
  record: UpdateRecord,
  toServices: (manifest: Manifest) => ServiceSpec[],
): DesiredServices {
  const wanted = inForce(record);
  const manifest = parseManifest(wanted?.manifest);
  if (!wanted || !manifest) return { release: undefined, services: [] };
  const { name, version, generation } = wanted.release;
  return { release: { name, version, generation }, services: toServices(manifest) };
}

/** Whether the services of a manifest that was accepted before can be written down. */
export function stageable(
  text: string | undefined,
  toServices: (manifest: Manifest) => ServiceSpec[],
): { ok: true; manifest: Manifest } | { ok: false; message: string } {
  try {
    const manifest = parseManifest(text);
    if (!manifest) return { ok: false, message: 'its recorded manifest cannot be read' };
    toServices(manifest);
    return { ok: true, manifest };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error) };
  }
}

/** A manifest that was accepted before; undefined when there is none. */
export function parseManifest(text: string | undefined): Manifest | undefined {
  if (text === undefined) return undefined;
  const checked = checkManifest(JSON.parse(text));
  return checked.ok ? checked.value : undefined;
}
