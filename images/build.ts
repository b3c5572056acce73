import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildIpc } from '../ipc/build.ts';
import type { Platform } from '../protocol/manifest.ts';
import { appTree, baseTree, ipcArch, ipcPackage, ipcTree, nodeTree, redisTree } from './layers.ts';
import { addLayer, configure, createLayout, finishLayout } from './layout.ts';
import { run } from './run.ts';

/** Part of the key: raise it when the same sources would give other images. */
const BUILDER = '2';
const SOURCES = fileURLToPath(new URL('.', import.meta.url));
export const IMAGES = ['sensor', 'analyser', 'analyser-2', 'redis', 'wasm-runtime'] as const;
/** A module for the image `wasm-runtime`. */
export const WASM_SAMPLE = 'wasm-sample.wasm';

export interface BuildImagesOptions {
  /** One OCI image layout for each image, the sample module, and the cache of downloads. */
  outDir: string;
  platforms: Platform[];
  onProgress?: (line: string) => void;
}

interface Trees {
  base: string;
  node: string;
  redis: string;
  ipc: string;
  sensor: string;
  analyser: string;
  'analyser-2': string;
  'wasm-runtime': string;
}

/** Builds the sample images. Does nothing when sources and platforms are those of the last build. */
export async function buildImages({
  outDir,
  platforms,
  onProgress = () => {},
}: BuildImagesOptions): Promise<void> {
  await buildIpc(onProgress, platforms.map(ipcArch));
  const key = await keyOf(platforms);
  const keyFile = join(outDir, 'key');
  if ((await readFile(keyFile, 'utf8').catch(() => '')) === key) return;
  await mkdir(outDir, { recursive: true });
  await rm(keyFile, { force: true });
  const work = await mkdtemp(join(outDir, 'work-'));
  try {
    onProgress('Building the sample images: Debian packages and Node, a minute or so');
    const tars = new Map<Platform, Trees>();
    await Promise.all(
      platforms.map(async (platform) => tars.set(platform, await layerTars(outDir, work, platform))),
    );
    onProgress('Packing the layers into OCI image layouts');
    await layouts(work, platforms, tars);
    await run('wat2wasm', [join(SOURCES, 'wasm-sample/sample.wat'), '-o', join(outDir, WASM_SAMPLE)]);
    for (const image of IMAGES) {
      await rm(join(outDir, image), { recursive: true, force: true });
      await rename(join(work, image), join(outDir, image));
    }
    await writeFile(keyFile, key);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** What both apps speak to redis with. */
const CLIENT = 'redis/client.js';
const SENSOR = ['sensor/sensor.js', 'sensor/samples.js', 'sensor/frames.js', CLIENT];
const ANALYSER = [...['analyser', 'recent', 'rolling', 'spot'].map((name) => `analyser/${name}.js`), CLIENT];

async function layerTars(outDir: string, work: string, platform: Platform): Promise<Trees> {
  const dir = join(work, platform.replace('/', '-'));
  await mkdir(dir, { recursive: true });
  const [packages, node] = await Promise.all([
    baseTree(dir, platform).then(async (base) => ({ base, redis: await redisTree(dir, platform, base) })),
    nodeTree(join(outDir, 'cache'), dir, platform),
  ]);
  const [ipc, sensor, analyser, second, wasm] = await Promise.all([
    ipcTree(dir, platform),
    appTree(dir, 'sensor', SENSOR),
    appTree(dir, 'analyser', ANALYSER),
    appTree(dir, 'analyser-2', [...ANALYSER, 'analyser/trend.js']),
    appTree(dir, 'wasm-runtime', ['wasm-runtime/run.js']),
  ]);
  return {
    base: packages.base.tar,
    node,
    redis: packages.redis,
    ipc,
    sensor,
    analyser,
    'analyser-2': second,
    'wasm-runtime': wasm,
  };
}

/** Layouts grow from each other, so that images share the very same base and node blobs and each is compressed once. */
async function layouts(
  work: string,
  platforms: Platform[],
  tars: ReadonlyMap<Platform, Trees>,
): Promise<void> {
  const grow = async (from: string | undefined, to: string, layer: keyof Trees) => {
    const layout = join(work, to);
    if (from === undefined) await createLayout(layout, platforms);
    else await cp(join(work, from), layout, { recursive: true });
    for (const platform of platforms) await addLayer(layout, platform, tars.get(platform)?.[layer] ?? '');
  };
  await grow(undefined, 'base', 'base');
  await grow('base', 'redis', 'redis');
  await grow('base', 'node', 'node');
  await grow('node', 'ipc', 'ipc');
  for (const app of ['sensor', 'analyser', 'analyser-2'] as const) await grow('ipc', app, app);
  await grow('node', 'wasm-runtime', 'wasm-runtime');
  for (const image of IMAGES) {
    const layout = join(work, image);
    for (const platform of platforms) await configure(layout, platform, configOf(image));
    await finishLayout(layout, platforms);
  }
}

const SCRIPTS = {
  sensor: 'sensor/sensor.js',
  analyser: 'analyser/analyser.js',
  'analyser-2': 'analyser/analyser.js',
  'wasm-runtime': 'wasm-runtime/run.js',
};
/** One compiler thread, not one for each core: they count against the service's pids. */
const WASI_OPTIONS = ['--disable-warning=ExperimentalWarning', '--v8-pool-size=1'];

/** What Debian's redis-server unit starts; the apps start their one script. */
function configOf(image: (typeof IMAGES)[number]): { user: string; entrypoint: string[] } {
  if (image === 'redis') return { user: 'redis', entrypoint: ['/usr/bin/redis-server'] };
  const options = image === 'wasm-runtime' ? WASI_OPTIONS : [];
  return { user: 'nonroot', entrypoint: ['/usr/bin/node', ...options, `/app/${SCRIPTS[image]}`] };
}

/** Of every source file below images/, the channel library as it was built, and the architecture-independent inputs. */
async function keyOf(platforms: Platform[]): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([BUILDER, [...platforms].sort()]));
  const sources = (await readdir(SOURCES, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && /\.(ts|js|wat)$/.test(entry.name) && !/\.test\./.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !file.startsWith(join(SOURCES, '.build')))
    .sort();
  const built = [...platforms].sort().map(ipcPackage);
  for (const file of [...sources, ...(await Promise.all(built.map(filesIn))).flat()])
    hash.update(`${relative(SOURCES, file)}\0`).update(await readFile(file));
  return hash.digest('hex');
}

const filesIn = async (folder: string): Promise<string[]> =>
  (await readdir(folder)).sort().map((name) => join(folder, name));

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const outDir = process.argv[2] ?? join(SOURCES, '.build');
  await buildImages({ outDir, platforms: ['linux/amd64', 'linux/arm64'], onProgress: console.log });
  console.log(`Images are in ${outDir}: ${IMAGES.join(', ')}`);
}
