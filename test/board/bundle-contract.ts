import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build, type PluginOption } from 'vite';
import { ROOT } from '../../scripts/setup.mjs';

const GUEST = join(import.meta.dirname, 'guest');
const ENTRY = '\0contract';

/** The contract tests as one file for Node in a board; vitest and `until` are their stand-ins of guest/. */
const standIns = (files: readonly string[]): PluginOption => ({
  name: 'stand-ins',
  enforce: 'pre',
  resolveId: (id) => {
    if (id === ENTRY) return ENTRY;
    if (id === 'vitest') return join(GUEST, 'vitest.ts');
    return id.endsWith('/support/until.ts') ? join(GUEST, 'until.ts') : undefined;
  },
  load: (id) =>
    id === ENTRY
      ? [
          `import { runAll } from 'vitest';`,
          `import { appendFileSync } from 'node:fs';`,
          ...files.map((file) => `import ${JSON.stringify(join(ROOT, 'test/contract', file))};`),
          `const [output, pattern = ''] = process.argv.slice(2);`,
          `const wanted = new RegExp(pattern);`,
          `const told = (result) => appendFileSync(output, JSON.stringify(result) + '\\n');`,
          `runAll((name) => wanted.test(name), told).then(() => process.exit(0));`,
        ].join('\n')
      : undefined,
});

/** Writes `<outDir>/contract.js`: `node contract.js <file for results> [<pattern of names>]`. */
export const bundleContract = (files: readonly string[], outDir: string): Promise<void> =>
  bundle('contract', ENTRY, [standIns(files)], outDir);

/** Writes `<outDir>/<name of the file>.js`, a program for Node in a board. */
export const bundleProgram = (file: string, outDir: string): Promise<void> =>
  bundle(basename(file, '.ts'), join(ROOT, file), [standIns([])], outDir);

async function bundle(name: string, entry: string, plugins: PluginOption[], outDir: string): Promise<void> {
  await build({
    root: ROOT,
    configFile: false,
    logLevel: 'warn',
    plugins,
    ssr: { noExternal: true, target: 'node' },
    build: {
      ssr: true,
      outDir,
      emptyOutDir: false,
      target: 'node24',
      minify: false,
      reportCompressedSize: false,
      rolldownOptions: {
        input: { [name]: entry },
        output: { format: 'cjs', entryFileNames: '[name].js', codeSplitting: false },
      },
    },
  });
  writeFileSync(join(outDir, 'package.json'), '{ "type": "commonjs" }\n');
}
