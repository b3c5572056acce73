import type { ManifestImage, ManifestLayer } from '../../protocol/manifest.ts';
import type { ReleaseSource } from '../../protocol/release-source.ts';
import { type Accounts, findUser, isRootText, NONROOT } from './accounts.ts';

/** What an image brings along: OCI image-spec config.md, `config`, with its layers already converted. */
export interface ConvertedImage {
  /** sha256 of the image manifest, hex. */
  digest: string;
  layers: ManifestLayer[];
  accounts: Accounts;
  config: {
    entrypoint: string[];
    command: string[];
    environment: string[];
    workingDir: string;
    user: string;
  };
}

export type SourceService = ReleaseSource['services'][string];
export type Resolved<T> = { ok: true; value: T; notes: string[] } | { ok: false; fault: string };

/** Where a service of kind `wasm` has its module. */
export const WASM_MODULE_PATH = '/module.wasm';
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** release.yaml over the image's own configuration, with compose's meaning: a new entrypoint drops the image's command. */
export function resolveImage(service: SourceService, image: ConvertedImage): Resolved<ManifestImage> {
  const user = resolveUser(service, image);
  if (!user.ok) return user;
  const args = resolveArgs(service, image.config);
  if (!args.ok) return args;
  return {
    ok: true,
    notes: user.notes,
    value: {
      manifestDigest: image.digest,
      layers: image.layers,
      args: args.value,
      environment: {
        PATH: DEFAULT_PATH,
        ...parseEnvironment(image.config.environment),
        ...service.environment,
      },
      workingDir: service.workingDir ?? absolute(image.config.workingDir),
      ...user.value,
    },
  };
}

/** Of a `wasm` service: the runtime as the image starts it, the module, the module's arguments. */
function resolveArgs(service: SourceService, config: ConvertedImage['config']): Resolved<string[]> {
  const entrypoint = service.entrypoint ?? config.entrypoint;
  if (service.wasm !== undefined)
    return entrypoint.length > 0
      ? { ok: true, value: [...entrypoint, WASM_MODULE_PATH, ...(service.command ?? [])], notes: [] }
      : { ok: false, fault: 'the image of its WebAssembly runtime has no entrypoint; set entrypoint' };
  const args = [...entrypoint, ...(service.command ?? (service.entrypoint ? [] : config.command))];
  return args.length > 0
    ? { ok: true, value: args, notes: [] }
    : { ok: false, fault: 'the image has neither entrypoint nor command; set entrypoint' };
}

function resolveUser(service: SourceService, image: ConvertedImage): Resolved<{ uid: number; gid: number }> {
  const allowRoot = service.security?.allowRoot ?? false;
  if (service.user === undefined && isRootText(image.config.user) && !allowRoot) {
    const notes = image.config.user
      ? [`the image asks for user "${image.config.user}"; it will run as ${NONROOT.uid}:${NONROOT.gid}`]
      : [];
    return { ok: true, value: { ...NONROOT }, notes };
  }
  const found = findUser(service.user ?? (image.config.user || '0:0'), image.accounts);
  if (!found.ok) return found;
  if (found.uid === 0 && !allowRoot)
    return { ok: false, fault: 'it would run as root; set another user, or security.allowRoot' };
  return { ok: true, value: { uid: found.uid, gid: found.gid }, notes: [] };
}

/** "A=b=c" → A: "b=c"; the last of two wins; text without "=" is no variable. */
const parseEnvironment = (lines: string[]): Record<string, string> =>
  Object.fromEntries(
    lines
      .filter((line) => line.indexOf('=') > 0)
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );

const absolute = (path: string): string => (path.startsWith('/') ? path : `/${path}`);
