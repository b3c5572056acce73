import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
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
export async function bundleContract(files: readonly string[], outDir: string): Promise<void> {
  await build({
    root: ROOT,
    configFile: false,
    logLevel: 'warn',
    plugins: [standIns(files)],
    ssr: { noExternal: true, target: 'node' },
    build: {
      ssr: true,
      outDir,
      emptyOutDir: false,
      target: 'node24',
      minify: false,
      reportCompressedSize: false,
      rolldownOptions: {
        input: { contract: ENTRY },
        output: { format: 'cjs', entryFileNames: '[name].js', codeSplitting: false },
      },
    },
  });
  writeFileSync(join(outDir, 'package.json'), '{ "type": "commonjs" }\n');
}
