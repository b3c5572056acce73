import { createHash } from 'node:crypto';
import { constants, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { WASM_MODULE_PATH } from '../core/resolve.ts';
import { WASM_MODULE_BYTES, wasmModuleFault } from '../core/wasm-module.ts';
import { messageOf, ReleaseError } from '../errors.ts';
import { writeTar } from '../layer/tar-write.ts';
import type { ImageLayer } from '../oci/image.ts';

const OWNER = { uid: 0, gid: 0, mtime: '0', xattrs: {} } as const;

/** The layer that lays a service's WebAssembly module over its runtime. Its bytes depend on the module alone. */
export async function moduleLayer(service: string, file: string, baseDir: string): Promise<ImageLayer> {
  const bytes = await readModule(service, file, resolve(baseDir, file));
  const tar = writeTar([
    { path: '', type: 'dir', mode: 0o755, ...OWNER },
    { path: WASM_MODULE_PATH.slice(1), type: 'file', content: bytes, mode: 0o444, ...OWNER },
  ]);
  return {
    diffId: createHash('sha256').update(tar).digest('hex'),
    async *open() {
      yield tar;
    },
  };
}

/** Whole, checked, and never more than the limit in memory. */
async function readModule(service: string, name: string, path: string): Promise<Buffer> {
  const refuse = (what: string): never => {
    throw new ReleaseError(
      'image-refused',
      `Cannot take the WebAssembly module of service "${service}": ${name}: ${what}`,
    );
  };
  // A pipe without a writer must not hold up the build.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: unknown) => {
    throw new ReleaseError(
      'image',
      `Cannot read the WebAssembly module of service "${service}": ${messageOf(cause)}`,
      { cause },
    );
  });
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) return refuse('it is not a file; wanted a WebAssembly module');
    if (stats.size > WASM_MODULE_BYTES)
      return refuse(`it has ${stats.size} bytes; wanted at most ${WASM_MODULE_BYTES}`);
    const bytes = await handle.readFile();
    const fault = wasmModuleFault(bytes);
    return fault === undefined ? bytes : refuse(fault);
  } finally {
    await handle.close();
  }
}
