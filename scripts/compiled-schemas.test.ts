import { createRequire } from 'node:module';
import { join } from 'node:path';
import { build, type Rolldown } from 'vite';
import { expect, test } from 'vitest';
import { checkManifest } from '../protocol/manifest.ts';
import { compiledSchemas } from './compiled-schemas.ts';
import { ROOT } from './setup.mjs';

async function bundled(file: string): Promise<Rolldown.OutputChunk> {
  const { output } = (await build({
    root: ROOT,
    configFile: false,
    logLevel: 'error',
    plugins: [compiledSchemas()],
    ssr: { noExternal: true, target: 'node' },
    build: {
      ssr: true,
      write: false,
      rolldownOptions: { input: join(ROOT, file), output: { format: 'cjs' } },
    },
  })) as Rolldown.RolldownOutput;
  return output[0];
}

const service = { image: 'sha256:12', resources: { memory: { max: '64MiB' } }, comand: ['sh'] };

test('a checker that was compiled into a bundle finds what ajv finds, in the same words, without ajv', async () => {
  const chunk = await bundled('protocol/manifest.ts');
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
  expect(chunk.moduleIds.filter((id) => /ajv\/dist\/(?!runtime)/.test(id))).toEqual([]);
});

test('a validator that it cannot see through stops the build', async () => {
  const plugin = compiledSchemas() as { transform(code: string, file: string): Promise<unknown> };
  const code = "import { validator as v } from './other.ts';\nconst check = validator<X>(schema);";
  await expect(plugin.transform(code, '/x.ts')).rejects.toThrow('Cannot compile the schemas of /x.ts');
});
