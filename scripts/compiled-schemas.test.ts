import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { checkManifest } from '../protocol/manifest.ts';
import { compiledSchemas } from './compiled-schemas.ts';
import { NODE, ROOT } from './setup.mjs';

/** In a process of its own: the plugin reads constants by Node's own loader. */
const BUNDLE = `
  import { build } from 'vite';
  import { compiledSchemas } from './scripts/compiled-schemas.ts';
  const { output } = await build({
    configFile: false,
    logLevel: 'error',
    plugins: [compiledSchemas()],
    ssr: { noExternal: true, target: 'node' },
    build: {
      ssr: true,
      write: false,
      rolldownOptions: { input: 'protocol/manifest.ts', output: { format: 'cjs' } },
    },
  });
  process.stdout.write(JSON.stringify({ code: output[0].code, modules: output[0].moduleIds }));
`;

const service = { image: 'sha256:12', resources: { memory: { max: '64MiB' } }, comand: ['sh'] };

test('a checker that was compiled into a bundle finds what ajv finds, in the same words, without ajv', () => {
  const built = execFileSync(NODE, ['--input-type=module', '-e', BUNDLE], { cwd: ROOT, encoding: 'utf8' });
  const chunk = JSON.parse(built) as { code: string; modules: string[] };
  const module = { exports: {} as { checkManifest: typeof checkManifest } };
  new Function('module', 'exports', 'require', chunk.code)(
    module,
    module.exports,
    createRequire(import.meta.url),
  );
  for (const document of [
    undefined,
    [],
    { name: 'Demo', version: 1, bords: [], services: { web: service, Web: service } },
    { name: 'demo', 'a/b~c%': 1, services: { 'a/b~c%': service } },
  ]) {
    const found = module.exports.checkManifest(document);
    expect(found).toEqual(checkManifest(document));
    expect(found.ok).toBe(false);
  }
  expect(chunk.modules.filter((id) => /ajv\/dist\/(?!runtime)/.test(id))).toEqual([]);
});

test('a validator that it cannot see through stops the build', async () => {
  const plugin = compiledSchemas() as { transform(code: string, file: string): Promise<unknown> };
  const code = "import { validator as v } from './other.ts';\nconst check = validator<X>(schema);";
  await expect(plugin.transform(code, '/x.ts')).rejects.toThrow('Cannot compile the schemas of /x.ts');
});
