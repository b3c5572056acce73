import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

/** CDI specification 0.6 to 0.8, what of it is used here. */
export interface ContainerEdits {
  env?: string[];
  deviceNodes?: { path: string; hostPath?: string; permissions?: string }[];
  mounts?: { hostPath: string; containerPath: string; options?: string[] }[];
}
interface CdiSpec {
  kind: string;
  devices: { name: string; containerEdits?: ContainerEdits }[];
  containerEdits?: ContainerEdits;
}

/** Later folders win. */
export const CDI_FOLDERS: readonly string[] = ['/etc/cdi', '/var/run/cdi'];
const KNOWN_EDITS = new Set(['env', 'deviceNodes', 'mounts']);

/**
 * What the CDI device `vendor.com/class=name` brings. Throws with code wait.device when no specification holds it,
 * with fail.isolation when it asks for more than environment, device nodes and mounts.
 */
export function cdiEdits(name: string, folders: readonly string[] = CDI_FOLDERS): ContainerEdits {
  const [kind = '', device = ''] = name.split('=');
  for (const { spec, path } of [...folders].reverse().flatMap(readSpecs)) {
    if (spec.kind !== kind) continue;
    const found = spec.devices.find((candidate) => candidate.name === device);
    if (found === undefined) continue;
    // CDI: the edits of the specification hold for each of its devices.
    return [spec.containerEdits ?? {}, found.containerEdits ?? {}].reduce((all, edits) =>
      merge(checked(name, path, all), checked(name, path, edits)),
    );
  }
  const message = `Cannot give the CDI device ${name}: no specification in ${folders.join(', ')} holds it; generate one`;
  throw Object.assign(new Error(message), { code: 'wait.device' });
}

const merge = (a: ContainerEdits, b: ContainerEdits): ContainerEdits => ({
  env: [...(a.env ?? []), ...(b.env ?? [])],
  deviceNodes: [...(a.deviceNodes ?? []), ...(b.deviceNodes ?? [])],
  mounts: [...(a.mounts ?? []), ...(b.mounts ?? [])],
});

function checked(name: string, path: string, edits: ContainerEdits): ContainerEdits {
  const unknown = Object.entries(edits).filter(
    ([edit, value]) => !KNOWN_EDITS.has(edit) && (!Array.isArray(value) || value.length > 0),
  );
  if (unknown.length === 0) return edits;
  const what = unknown.map(([edit]) => edit).join(', ');
  const message = `Cannot give the CDI device ${name}: ${path} asks for ${what}; only env, deviceNodes and mounts are given, hooks would run as root on the device`;
  throw Object.assign(new Error(message), { code: 'fail.isolation' });
}

function readSpecs(folder: string): { spec: CdiSpec; path: string }[] {
  const files = entries(folder).filter((file) => /\.(json|ya?ml)$/.test(file));
  return files.sort().map((file) => {
    const path = join(folder, file);
    try {
      const spec = parse(readFileSync(path, 'utf8')) as CdiSpec;
      if (typeof spec.kind !== 'string' || !Array.isArray(spec.devices))
        throw new Error('it names no kind or devices');
      return { spec, path };
    } catch (cause) {
      const said = cause instanceof Error ? cause.message : String(cause);
      throw Object.assign(new Error(`Cannot read the CDI specification ${path}: ${said}`, { cause }), {
        code: 'wait.device',
      });
    }
  });
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
