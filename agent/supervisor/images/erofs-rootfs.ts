import { lstatSync, mkdirSync, readdirSync, readlinkSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { RootfsStore } from '../ports.ts';
import { mountPoints } from '../runtime/oci-spec.ts';
import { runProgram } from '../runtime/run-program.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { readMounts } from './mount-table.ts';

export interface ErofsOptions {
  runDir: string;
  /** File of an EROFS blob, by its fs-verity digest. */
  blobPath: (verity: string) => string;
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
  readonly #blobPath: (verity: string) => string;
  #last: Promise<unknown> = Promise.resolve();

  constructor({ runDir, blobPath }: ErofsOptions) {
    for (const folder of ['layers', 'roots', 'volumes'])
      mkdirSync(join(runDir, folder), { recursive: true, mode: 0o711 });
    this.#runDir = realpathSync(runDir);
    this.#blobPath = blobPath;
  }

  mount(spec: ServiceSpec): Promise<string> {
    return this.#inTurn(async () => {
      await this.#unmountRoot(spec.name);
      const mounted = this.#mountedLayers();
      await Promise.all(
        [...new Set(spec.layers)]
          .filter((verity) => !mounted.has(layerName(verity)))
          .map((verity) => this.#mountLayer(verity)),
      );
      const home = join(this.#runDir, 'roots', spec.name);
      mkdirSync(home, { recursive: true, mode: 0o711 });
      const root = join(home, 'root');
      const [only] = spec.layers;
      if (only !== undefined && spec.layers.length === 1 && spec.security.readOnlyRoot) {
        const layer = this.#layerPath(only);
        if (mountPoints(spec).every((path) => isFolderIn(layer, path))) {
          symlinkSync(layer, root);
          return layer;
        }
      }
      await this.#mountOverlay(spec, home, root);
      return root;
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

  /** Where the volume is mounted, or will be. */
  volumePath(name: string): string {
    return join(this.#runDir, 'volumes', name);
  }

  volume(name: string, sizeBytes: number, gid: number): Promise<string> {
    return this.#inTurn(async () => {
      const path = this.volumePath(name);
      const present = readMounts(this.#runDir).find(({ point }) => point === path);
      const size = Math.ceil(sizeBytes / 4096) * 4096;
      if (present?.options.includes(`size=${size / 1024}k`)) return path;
      mkdirSync(path, { recursive: true });
      const options = `nosuid,nodev,noexec,mode=2770,size=${size},gid=${gid}`;
      const how = present === undefined ? options : `remount,${options}`;
      await runProgram('mount', ['-t', 'tmpfs', '-o', how, `wherry-${name}`, path]);
      return path;
    });
  }

  destroy(): Promise<void> {
    return this.#inTurn(async () => {
      for (const { point } of readMounts(this.#runDir).reverse()) await this.#unmount(point);
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
    const used = new Set<string>();
    for (const { type, options } of readMounts(join(this.#runDir, 'roots'))) {
      const lower = type === 'overlay' ? options.find((option) => option.startsWith('lowerdir=')) : undefined;
      for (const name of lower?.slice('lowerdir='.length).split(':') ?? []) used.add(name);
    }
    for (const service of readdirSync(join(this.#runDir, 'roots'))) {
      const target = linkTarget(join(this.#runDir, 'roots', service, 'root'));
      if (target !== undefined) used.add(basename(target));
    }
    return used;
  }

  async #mountLayer(verity: string): Promise<void> {
    const path = this.#layerPath(verity);
    mkdirSync(path, { recursive: true });
    await runProgram('mount', ['-t', 'erofs', '-o', 'ro,nodev,nosuid', this.#blobPath(verity), path]);
  }

  async #mountOverlay(spec: ServiceSpec, home: string, root: string): Promise<void> {
    // Lowest layer of all: the folders that the container's mounts need and an image may lack.
    const skeleton = join(home, 'skeleton');
    for (const path of mountPoints(spec)) mkdirSync(join(skeleton, path), { recursive: true });
    mkdirSync(root);
    const lower = [...spec.layers.map(layerName).reverse(), `../roots/${spec.name}/skeleton`].join(':');
    let options = `nodev,nosuid,lowerdir=${lower}`;
    if (!spec.security.readOnlyRoot) {
      const rw = join(home, 'rw');
      mkdirSync(rw);
      await runProgram('mount', [
        '-t',
        'tmpfs',
        '-o',
        `nosuid,nodev,mode=755,size=${WRITABLE_BYTES}`,
        'wherry-rw',
        rw,
      ]);
      for (const folder of ['upper', 'work']) mkdirSync(join(rw, folder));
      options += `,upperdir=../roots/${spec.name}/rw/upper,workdir=../roots/${spec.name}/rw/work`;
    }
    // Relative names, so that many layers fit into one page.
    await runProgram('mount', ['-t', 'overlay', '-o', options, 'wherry', root], join(this.#runDir, 'layers'));
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

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
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
