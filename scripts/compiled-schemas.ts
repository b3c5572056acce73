// The checkers of the agent's schemas, compiled when its bundle is built: ajv itself stays out of it (docs/adr/0008).
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Ajv } from 'ajv';
import standalone from 'ajv/dist/standalone/index.js';
import type { PluginOption } from 'vite';
import { AJV_OPTIONS } from '../protocol/validate.ts';
import { ROOT } from './setup.mjs';

/** `const checkHello = validator<Hello>(helloSchema)`: a call that names a constant of its own file. */
const CALL = /\bvalidator<[^(]+>\((\w+)\)/g;
const IMPORT = /^import \{.*\bvalidator\b.*\} from '.*\/validate\.ts';$/m;
const PREFIX = '\0checker:';
const QUERY = '?constants=';

/** Reads constants of a source file, exported or not. */
async function constantsOf(file: string, names: readonly string[]): Promise<Record<string, object>> {
  return import(`${pathToFileURL(file).href}${QUERY}${names.join(',')}`);
}

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    const at = url.indexOf(QUERY);
    if (at < 0) return loaded;
    const names = url.slice(at + QUERY.length).split(',');
    const exported = names.map((name) => `${name} as ${name}_`).join(', ');
    return { ...loaded, source: `${loaded.source}\nexport { ${exported} };\n` };
  },
});

/** ajv's code for a checker, as a module whose default export makes it. */
function checkerModule(schema: object): string {
  const ajv = new Ajv({ ...AJV_OPTIONS, code: { source: true } });
  const imports: string[] = [];
  const code = standalone
    .default(ajv, ajv.compile(schema))
    .replace(/const (\w+) = require\("([^"]+)"\)\.default;/g, (_, name: string, from: string) => {
      imports.push(`import * as ${name}_ from '${from}.js';`);
      return `const ${name} = ${name}_.default;`;
    });
  if (code.includes('require('))
    throw new Error('Cannot compile a schema: ajv wants a module that was not expected');
  return `${imports.join('\n')}\nexport default () => { const module = { exports: {} };\n${code}\nreturn module.exports; };`;
}

/** Puts what ajv makes of a schema in the place of each call that would have it made on the device. */
export function compiledSchemas(): PluginOption {
  const checkers = new Map<string, string>();
  return {
    name: 'compiled-schemas',
    enforce: 'pre',
    resolveId: (id) => (id.startsWith(PREFIX) ? id : undefined),
    load: (id) => (id.startsWith(PREFIX) ? checkers.get(id) : undefined),
    async transform(code, file) {
      const names = [...code.matchAll(CALL)].map(([, name]) => name as string);
      if (names.length === 0) return undefined;
      if (!IMPORT.test(code))
        throw new Error(`Cannot compile the schemas of ${file}: its import of validator is not found`);
      const constants = await constantsOf(file, names);
      const imports = names.map((name) => {
        const id = `${PREFIX}${file}#${name}`;
        checkers.set(id, checkerModule(constants[`${name}_`] as object));
        return `import make_${name} from ${JSON.stringify(id)};`;
      });
      const validated = `import { validated } from ${JSON.stringify(join(ROOT, 'protocol/validated.ts'))};`;
      // Line for line as it was, for the source map.
      const changed = code
        .replace(IMPORT, validated)
        .replace(CALL, (_, name: string) => `validated(${name}, make_${name})`);
      return { code: [changed, ...imports].join('\n'), map: null };
    },
  };
}
