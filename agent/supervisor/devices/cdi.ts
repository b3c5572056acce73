import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { HOOK_NAMES, type Hook } from '../runtime/placement.ts';

/** CDI specification 0.6 to 0.8, what of it is used here. */
export interface ContainerEdits {
  env?: string[];
  deviceNodes?: { path: string; hostPath?: string; permissions?: string }[];
  mounts?: { hostPath: string; containerPath: string; options?: string[] }[];
  /** Programs of the vendor that the OCI runtime runs, as root and outside the container's limits. */
  hooks?: Hook[];
}
interface CdiSpec {
  kind: string;
  devices: { name: string; containerEdits?: ContainerEdits }[];
  containerEdits?: ContainerEdits;
}

/** Later folders win. */
export const CDI_FOLDERS: readonly string[] = ['/etc/cdi', '/var/run/cdi'];
const KNOWN_EDITS = new Set(['env', 'deviceNodes', 'mounts', 'hooks']);

/**
 * What the CDI device `vendor.com/class=name` brings. Throws with code wait.device when no specification holds it,
 * with fail.isolation when it asks for more than environment, device nodes, mounts and hooks, or when others than root
 * could have written its hooks.
 */
export function cdiEdits(name: string, folders: readonly string[] = CDI_FOLDERS): ContainerEdits {
  const [kind = '', device = ''] = name.split('=');
  for (const { spec, path } of [...folders].reverse().flatMap(readSpecs)) {
    if (spec.kind !== kind) continue;
    const found = spec.devices.find((candidate) => candidate.name === device);
    if (found === undefined) continue;
    // CDI: the edits of the specification hold for each of its devices.
    const edits = [spec.containerEdits ?? {}, found.containerEdits ?? {}];
    return edits.map((some) => checked(name, path, some)).reduce(merge);
  }
  const message = `Cannot give the CDI device ${name}: no specification in ${folders.join(', ')} holds it; generate one`;
  throw Object.assign(new Error(message), { code: 'wait.device' });
}

const merge = (a: ContainerEdits, b: ContainerEdits): ContainerEdits => ({
  env: [...(a.env ?? []), ...(b.env ?? [])],
  deviceNodes: [...(a.deviceNodes ?? []), ...(b.deviceNodes ?? [])],
  mounts: [...(a.mounts ?? []), ...(b.mounts ?? [])],
  hooks: [...(a.hooks ?? []), ...(b.hooks ?? [])],
});

function checked(name: string, path: string, edits: ContainerEdits): ContainerEdits {
  const unknown = Object.entries(edits).filter(
    ([edit, value]) => !KNOWN_EDITS.has(edit) && (!Array.isArray(value) || value.length > 0),
  );
  if (unknown.length > 0) {
    const what = unknown.map(([edit]) => edit).join(', ');
    throw refused(name, `${path} asks for ${what}; only ${[...KNOWN_EDITS].join(', ')} are given`);
  }
  const { hooks = [] } = edits;
  const odd = hooks.find(
    ({ hookName, path: program }) => !HOOK_NAMES.has(hookName) || !program.startsWith('/'),
  );
  if (odd) throw refused(name, `${path} has a hook ${odd.hookName} of ${odd.path}; wanted one of the OCI`);
  const open = hooks.length > 0 ? [path, dirname(path)].find(isOpenToOthers) : undefined;
  if (open !== undefined)
    throw refused(
      name,
      `its hooks run as root, and others than root may write ${open}; make it root's alone`,
    );
  return edits;
}

const refused = (name: string, what: string): Error =>
  Object.assign(new Error(`Cannot give the CDI device ${name}: ${what}`), { code: 'fail.isolation' });

function isOpenToOthers(path: string): boolean {
  const { uid, mode } = statSync(path);
  return uid !== 0 || (mode & 0o022) !== 0;
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
