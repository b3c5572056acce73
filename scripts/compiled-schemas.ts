// The checkers of the agent's schemas, compiled when its bundle is built: ajv itself stays out of it (docs/adr/0008).
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Ajv } from 'ajv';
import standalone from 'ajv/dist/standalone/index.js';
import type { PluginOption } from 'vite';
import { AJV_OPTIONS } from '../protocol/validate.ts';
import { NODE, ROOT } from './setup.mjs';

/** `const checkHello = validator<Hello>(helloSchema)`: a call that names a constant of its own file. */
const CALL = /\bvalidator<[^(]+>\((\w+)\)/g;
const IMPORT = /^import \{.*\bvalidator\b.*\} from '.*\/validate\.ts';$/m;
const PREFIX = '\0checker:';

/** Prints constants of a source file, exported or not, as JSON. By Node's own loader, whatever loaded this file. */
const READ = `
  import { registerHooks } from 'node:module';
  import { pathToFileURL } from 'node:url';
  const [file, ...names] = process.argv.slice(1);
  const { href } = pathToFileURL(file);
  registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      if (url !== href) return loaded;
      const exported = names.map((name) => name + ' as ' + name + '_').join(', ');
      return { ...loaded, source: loaded.source + '\\nexport { ' + exported + ' };' };
    },
  });
  const module = await import(href);
  process.stdout.write(JSON.stringify(names.map((name) => module[name + '_'])));
`;

async function constantsOf(file: string, names: readonly string[]): Promise<object[]> {
  const { stdout } = await promisify(execFile)(NODE, ['--input-type=module', '-e', READ, file, ...names]);
  return JSON.parse(stdout) as object[];
}

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
      const imports = names.map((name, index) => {
        const id = `${PREFIX}${file}#${name}`;
        checkers.set(id, checkerModule(constants[index] as object));
        return `import make_${name} from ${JSON.stringify(id)};`;
      });
      const validated = `import { validated } from ${JSON.stringify(join(ROOT, 'protocol/validated.ts'))};`;
      // Line for line as it was, for the source map.
      const changed = code
        .replace(IMPORT, validated)
        // What nobody calls in this bundle is left out of it.
        .replace(CALL, (_, name: string) => `/* @__PURE__ */ validated(${name}, make_${name})`);
      return { code: [changed, ...imports].join('\n'), map: null };
    },
  };
}
