// How the agent becomes one file of plain CommonJS that costs a device as little memory as it can: docs/adr/0008.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { InlineConfig, PluginOption } from 'vite';
import { compiledSchemas } from './compiled-schemas.ts';
import { ROOT } from './setup.mjs';

const OUT_DIR = join(ROOT, 'dist/agent');

/**
 * What dependencies load and the agent never comes to use, and what stands for it. Anything of it that is called after
 * all throws.
 */
const UNUSED: Record<string, string> = {
  'worker-timers': 'export default undefined',
  'thread-stream': 'export default undefined',
  worker_threads: 'export const isMainThread = true',
  './transport': 'export default undefined',
  assert: 'module.exports = (value, message) => { if (!value) throw new Error(message) }',
  debug: 'module.exports = () => Object.assign(() => {}, { extend: () => () => {} })',
  // Topic aliases of MQTT 5; the link speaks 3.1.1.
  'lru-cache': 'export const LRUCache = undefined',
  // Paths of delegated roles are matched by protocol/tuf-paths.ts.
  minimatch: 'export const minimatch = undefined',
};

const withoutUnused: PluginOption = {
  name: 'without-unused',
  enforce: 'pre',
  resolveId: (id, importer) =>
    Object.hasOwn(UNUSED, id) && importer?.includes('/node_modules/') ? `\0unused:${id}` : undefined,
  load: (id) => (id.startsWith('\0unused:') ? UNUSED[id.slice('\0unused:'.length)] : undefined),
};

/** A package that few devices use is a file of its own, read when first called. */
const yamlOnDemand: PluginOption = {
  name: 'yaml-on-demand',
  enforce: 'pre',
  resolveId(id, importer) {
    if (id === './yaml.js' && importer === '\0yaml') return { id, external: true };
    return id === 'yaml' && importer?.endsWith('.ts') ? '\0yaml' : undefined;
  },
  load: (id) =>
    id === '\0yaml' ? "export const parse = (text) => require('./yaml.js').parse(text)" : undefined,
};

/** Node takes the nearest package.json's word for what a .js file is. */
const commonJs: PluginOption = {
  name: 'commonjs-package',
  writeBundle: ({ dir = OUT_DIR }) => writeFileSync(join(dir, 'package.json'), '{ "type": "commonjs" }\n'),
};

export const agentBundle: InlineConfig = {
  root: ROOT,
  configFile: false,
  logLevel: 'warn',
  plugins: [withoutUnused, compiledSchemas(), yamlOnDemand, commonJs],
  resolve: { alias: { 'readable-stream': 'node:stream' } },
  ssr: { noExternal: true, external: ['better-sqlite3'], target: 'node' },
  build: {
    ssr: true,
    outDir: OUT_DIR,
    emptyOutDir: true,
    target: 'node24',
    sourcemap: true,
    reportCompressedSize: false,
    rolldownOptions: {
      input: { main: join(ROOT, 'agent/main.ts'), yaml: join(ROOT, 'node_modules/yaml/dist/index.js') },
      // CommonJS: importing a module of Node's as ESM reads each of its exports, and node:http's load undici and http2.
      output: {
        format: 'cjs',
        entryFileNames: '[name].js',
        chunkFileNames: '[name].js',
        // V8 keeps a source text with one character beyond Latin-1 in two bytes for each.
        minify: { compress: true, mangle: true, codegen: { asciiOnly: true } },
      },
    },
  },
};
