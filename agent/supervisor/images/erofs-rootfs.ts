import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { RootfsStore } from '../ports.ts';
import { fileMountPoints, mountPoints } from '../runtime/oci-mounts.ts';
import type { IdRange } from '../runtime/placement.ts';
import { runProgram } from '../runtime/run-program.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { type Bind, type IdMapper } from './id-mapper.ts';
import { readMounts } from './mount-table.ts';
import { mountOverlay } from './overlay.ts';
import { SHIFTED, shiftLayers } from './shifted-layers.ts';
import { formatExt4, removeLostFound, Volumes } from './volumes.ts';

export interface ErofsOptions {
  runDir: string;
  /** File of an EROFS blob, by its fs-verity digest. */
  blobPath: (verity: string) => string;
  /** Holds what is on disk: volumes, and writable layers while they last. Without it both are refused. */
  stateDir?: string | undefined;
  /** What else is mounted into its root, such as the files of CDI devices. */
  morePoints?: ((spec: ServiceSpec) => { folders: string[]; files: string[] }) | undefined;
  /** Ids of a service; undefined = the machine's. Without `ids` all services have those. */
  ids?: { rangeOf(spec: ServiceSpec): Promise<IdRange | undefined>; mapper: IdMapper } | undefined;
}

/** What a service may write into its root filesystem; gone with the container. */
const WRITABLE_BYTES = 16 * 1024 * 1024;
/** 64 layers in one overlay must fit into one page of mount options. */
const NAME_DIGITS = 24;

/**
 * EROFS layers below `layers/`, one folder a service below `roots/`, shared volumes below `volumes/`. What is in use
 * is read from the kernel's mount table and from `roots/` each time; nothing is counted in memory.
 */
export class ErofsRootfs implements RootfsStore {
  readonly #runDir: string;
  readonly #options: ErofsOptions;
  readonly #volumes: Volumes;
  #last: Promise<unknown> = Promise.resolve();
  /** EROFS learnt id-mapped mounts in Linux 5.19: a layer that could not be mapped stands for all. */
  #mapsLayers = true;

  constructor(options: ErofsOptions) {
    const { runDir, stateDir } = options;
    for (const folder of ['layers', 'roots', 'volumes'])
      mkdirSync(join(runDir, folder), { recursive: true, mode: 0o711 });
    this.#runDir = realpathSync(runDir);
    this.#options = options;
    const imageDir = stateDir === undefined ? undefined : join(stateDir, 'volumes');
    this.#volumes = new Volumes(join(this.#runDir, 'volumes'), imageDir);
  }

  mount(spec: ServiceSpec): Promise<string> {
    return this.#inTurn(async () => {
      await this.#unmountRoot(spec.name);
      const home = this.homeOf(spec.name);
      mkdirSync(home, { recursive: true, mode: 0o711 });
      // Before the mounts: it says which layers are in use.
      writeFileSync(join(home, 'layers.txt'), spec.layers.map(layerName).join('\n'));
      const mounted = this.#mountedLayers();
      await Promise.all(
        [...new Set(spec.layers)]
          .filter((verity) => !mounted.has(layerName(verity)))
          .map((verity) => this.#mountLayer(verity)),
      );
      for (const { volume, sizeBytes, gid, backing } of spec.mounts)
        await this.#volumes.mount({ name: volume, sizeBytes, gid, backing });
      const range = await this.#options.ids?.rangeOf(spec);
      return this.#mountRoot(spec, home, range);
    });
  }

  unmount(service: string): Promise<void> {
    return this.#inTurn(async () => {
      await this.#unmountRoot(service);
      const used = this.#usedLayers();
      const unused = [...this.#mountedLayers()].filter((name) => !used.has(name));
      await Promise.all(unused.map((name) => this.#unmount(join(this.#runDir, 'layers', name))));
    });
  }

  /** The folder of a service's own mounts; what is mounted below goes with its root. */
  homeOf(service: string): string {
    return join(this.#runDir, 'roots', service);
  }

  /** Where a service finds the volume, in its own ids; the volume itself when no service is named or it has none. */
  volumePath(name: string, service?: string): string {
    const own = service === undefined ? undefined : join(this.homeOf(service), 'volumes', name);
    return own !== undefined && existsSync(own) ? own : this.#volumes.pathOf(name);
  }

  destroy(): Promise<void> {
    return this.#inTurn(async () => {
      const points = readMounts(this.#runDir).map(({ point }) => point);
      for (const point of points.reverse()) await runProgram('umount', [point]);
      // Only now: one place may have been mounted on more than once.
      for (const point of points) rmSync(point, { recursive: true, force: true });
      for (const folder of ['layers', 'roots', 'volumes']) {
        rmSync(join(this.#runDir, folder), { recursive: true, force: true });
        mkdirSync(join(this.#runDir, folder), { mode: 0o711 });
      }
    });
  }

  /** One change of the mounts at a time: a layer must not go while another service is about to use it. */
  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(act);
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  #layerPath(verity: string): string {
    return join(this.#runDir, 'layers', layerName(verity));
  }

  #mountedLayers(): Set<string> {
    const folder = join(this.#runDir, 'layers');
    return new Set(readMounts(folder).map(({ point }) => basename(point)));
  }

  #usedLayers(): Set<string> {
    const homes = readdirSync(join(this.#runDir, 'roots')).map((service) => this.homeOf(service));
    return new Set(homes.flatMap((home) => readIfThere(join(home, 'layers.txt')).split('\n')));
  }

  async #mountLayer(verity: string): Promise<void> {
    const path = this.#layerPath(verity);
    mkdirSync(path, { recursive: true });
    await runProgram('mount', ['-t', 'erofs', '-o', 'ro,nodev,nosuid', this.#options.blobPath(verity), path]);
  }

  /** The layer itself where it will do, else an overlay; in the ids of the service where it has its own. */
  async #mountRoot(spec: ServiceSpec, home: string, range: IdRange | undefined): Promise<string> {
    const root = join(home, 'root');
    const [only] = spec.layers;
    const single =
      only !== undefined && spec.layers.length === 1 && spec.security.readOnlyRoot
        ? this.#layerPath(only)
        : undefined;
    const { folders, files } = this.#pointsOf(spec);
    const isWhole =
      single !== undefined && files.length === 0 && folders.every((path) => isFolderIn(single, path));
    if (range === undefined) {
      if (isWhole) symlinkSync(single, root);
      else await this.#mountOverlay(spec, home, root, spec.layers.map(unmapped));
      return isWhole ? single : root;
    }
    await this.#map(range, this.#ownVolumes(spec, range));
    const targets = isWhole ? [root] : spec.layers.map((_layer, index) => join(home, 'l', String(index)));
    const isMapped = await this.#mapLayers(range, spec.layers, targets);
    if (isWhole && isMapped) return root;
    const names = isMapped ? targets.map((_target, index) => `l/${index}`) : spec.layers.map(unmapped);
    if (!isMapped) await shiftLayers(range, [...names].reverse(), home);
    await this.#mountOverlay(spec, home, root, isMapped ? names : [...names, SHIFTED], range);
    return root;
  }

  async #mapLayers(range: IdRange, layers: readonly string[], targets: readonly string[]): Promise<boolean> {
    const binds = layers.map((verity, index) => ({
      source: this.#layerPath(verity),
      target: targets[index] ?? '',
    }));
    if (this.#mapsLayers) await this.#map(range, binds).catch(() => (this.#mapsLayers = false));
    return this.#mapsLayers;
  }

  #pointsOf(spec: ServiceSpec): { folders: string[]; files: string[] } {
    const more = this.#options.morePoints?.(spec);
    const folders = [...mountPoints(spec), ...(more?.folders ?? [])];
    return { folders, files: [...fileMountPoints(spec), ...(more?.files ?? [])] };
  }

  #ownVolumes(spec: ServiceSpec, { keptGids = [] }: IdRange): Bind[] {
    const mapped = spec.mounts.filter(({ gid, backing }) => backing === 'disk' || !keptGids.includes(gid));
    const names = [...new Set(mapped.map(({ volume }) => volume))];
    return names.map((name) => ({
      source: this.#volumes.pathOf(name),
      target: join(this.homeOf(spec.name), 'volumes', name),
    }));
  }

  async #map(range: IdRange, binds: Bind[]): Promise<void> {
    for (const { target } of binds) mkdirSync(target, { recursive: true, mode: 0o711 });
    if (binds.length > 0) await this.#options.ids?.mapper.bind(range, binds);
  }

  /** `layers`: lowest first, relative to the home, so that many fit into one page of mount options. */
  async #mountOverlay(
    spec: ServiceSpec,
    home: string,
    root: string,
    layers: readonly string[],
    range?: IdRange,
  ): Promise<void> {
    // Lowest layer of all: the folders that the container's mounts need and an image may lack.
    const skeleton = join(home, 'skeleton');
    const owner = range?.hostBase ?? 0;
    const { folders, files } = this.#pointsOf(spec);
    makeFolders(skeleton, [...folders, ...files.map((file) => dirname(file))], owner);
    for (const file of files) writeFileSync(join(skeleton, file), '', { flag: 'a' });
    mkdirSync(root, { recursive: true });
    const metacopy = layers.includes(SHIFTED) ? 'metacopy=on,' : '';
    let options = `nodev,nosuid,${metacopy}lowerdir=${[...[...layers].reverse(), 'skeleton'].join(':')}`;
    if (!spec.security.readOnlyRoot) {
      const rw = join(home, 'rw');
      mkdirSync(rw);
      await this.#mountWritable(spec, rw);
      makeFolders(rw, ['upper', 'work'], owner);
      options += ',upperdir=rw/upper,workdir=rw/work';
    }
    await mountOverlay(options, root, home);
  }

  async #mountWritable(spec: ServiceSpec, rw: string): Promise<void> {
    const { writableBytes = WRITABLE_BYTES, backing } = spec.resources.disk ?? {};
    if (backing === undefined) {
      const options = `nosuid,nodev,mode=755,size=${writableBytes}`;
      await runProgram('mount', ['-t', 'tmpfs', '-o', options, 'wherry-rw', rw]);
      return;
    }
    const { stateDir } = this.#options;
    if (stateDir === undefined)
      throw new Error(
        `Cannot start service "${spec.name}": this agent has no folder for writable layers on disk`,
      );
    const image = join(stateDir, 'writable', `${spec.name}.img`);
    mkdirSync(dirname(image), { recursive: true, mode: 0o700 });
    try {
      await runProgram('fallocate', ['--length', String(Math.ceil(writableBytes / 4096) * 4096), image]);
      await formatExt4(image, ['-O', '^has_journal']);
      await runProgram('mount', ['-t', 'ext4', '-o', 'loop,nosuid,nodev', image, rw]);
      removeLostFound(rw);
    } finally {
      // The loop device holds the file; it goes with the last mount, however that ends.
      rmSync(image, { force: true });
    }
  }

  async #unmountRoot(service: string): Promise<void> {
    const home = join(this.#runDir, 'roots', service);
    for (const { point } of readMounts(home).reverse()) await this.#unmount(point);
    rmSync(home, { recursive: true, force: true });
  }

  async #unmount(point: string): Promise<void> {
    await runProgram('umount', [point]);
    rmSync(point, { recursive: true, force: true });
  }
}

const layerName = (verity: string): string => verity.slice(0, NAME_DIGITS);
const unmapped = (verity: string): string => `../../layers/${layerName(verity)}`;

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Every folder on the way belongs to the given user. */
function makeFolders(base: string, paths: readonly string[], owner: number): void {
  mkdirSync(base, { recursive: true });
  for (const path of paths) {
    let at = base;
    for (const part of path.split('/').filter((name) => name !== '')) {
      at = join(at, part);
      mkdirSync(at, { recursive: true, mode: 0o755 });
      chownSync(at, owner, owner);
    }
  }
}

/** Whether each part of the path is a real folder: a link could lead out of the layer. */
function isFolderIn(layer: string, path: string): boolean {
  let at = layer;
  for (const part of path.split('/').filter((name) => name !== '')) {
    at = join(at, part);
    if (!(lstatSync(at, { throwIfNoEntry: false })?.isDirectory() ?? false)) return false;
  }
  return true;
}
