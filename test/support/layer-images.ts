import { execFileSync } from 'node:child_process';
import { createReadStream, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256Hex } from '../../protocol/canonical.ts';
import { type ConvertedLayer, LayerCache } from '../../release/layer/convert.ts';

/** Layers of a test: made as tars, converted, and mounted as the agent does, or unpacked by umoci to compare with. */
export class LayerBench {
  readonly dir = mkdtempSync(join(tmpdir(), `wherry-layers-${process.pid}-`));
  readonly #mounted: string[] = [];
  #count = 0;

  sh(script: string, cwd = this.dir): string {
    return execFileSync('bash', ['-ec', script], {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  folder(): string {
    const path = join(this.dir, `tree-${this.#count++}`);
    mkdirSync(path);
    return path;
  }

  /** A tar of what a shell script makes in an empty folder. */
  tar(script: string, tarArgs = '--format=posix .'): string {
    const work = this.folder();
    this.sh(script, work);
    const xattrs = tarArgs.includes('gnu') ? '' : "--xattrs --xattrs-include='*'";
    this.sh(`tar ${xattrs} -cf ${work}.tar -C ${work} ${tarArgs}`);
    return `${work}.tar`;
  }

  convert(tar: string, below: readonly ConvertedLayer[] = [], cache = 'cache'): Promise<ConvertedLayer> {
    const layer = { diffId: sha256Hex(readFileSync(tar)), open: () => createReadStream(tar) };
    return new LayerCache(join(this.dir, cache)).convert(layer, below);
  }

  /** The merged root of the layers, lowest first. */
  mount(layers: readonly { verity: string }[], cache = 'cache'): string {
    const lowers = layers.map(({ verity }) => {
      const at = this.folder();
      execFileSync('mount', ['-t', 'erofs', '-o', 'loop,ro', join(this.dir, cache, `${verity}.erofs`), at]);
      this.#mounted.push(at);
      return at;
    });
    const skeleton = this.folder();
    const merged = this.folder();
    const options = `ro,lowerdir=${[...lowers.reverse(), skeleton].join(':')}`;
    execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', options, merged]);
    this.#mounted.push(merged);
    return merged;
  }

  async mountTars(...tars: string[]): Promise<string> {
    const layers: ConvertedLayer[] = [];
    for (const tar of tars) layers.push(await this.convert(tar, layers));
    return this.mount(layers);
  }

  /** An OCI layout with one image of these layers, tagged v1. */
  layout(tars: readonly string[], config = '--architecture amd64 --os linux'): string {
    const layout = `${this.folder()}-oci`;
    this.sh(`umoci init --layout ${layout}; umoci new --image ${layout}:v1`);
    for (const tar of tars) this.sh(`umoci raw add-layer --image ${layout}:v1 ${tar}`);
    this.sh(`umoci config --image ${layout}:v1 ${config}; umoci gc --layout ${layout}`);
    return layout;
  }

  /** What umoci makes of an image: its root folder. */
  unpack(layout: string, ref = 'v1'): string {
    const bundle = `${this.folder()}-bundle`;
    this.sh(`umoci unpack --image ${layout}:${ref} ${bundle}`);
    return join(bundle, 'rootfs');
  }

  /** What GNU tar makes of a tar. */
  extract(tar: string): string {
    const root = this.folder();
    this.sh(`tar --xattrs --xattrs-include='*' --numeric-owner -xpf ${tar} -C ${root}`);
    return root;
  }

  unmountAll(): void {
    for (const path of this.#mounted.splice(0).reverse()) execFileSync('umount', [path]);
  }

  destroy(): void {
    this.unmountAll();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
