// The command line of a device: plain JavaScript without the nouns of signers and developers, its manual pages and its
// completions. `bin/wherry` runs it where the sources are not.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { InlineConfig, PluginOption } from 'vite';
import { SHELLS } from '../agent/cli/commands/completion.ts';
import { COMMANDS } from '../agent/cli/commands/index.ts';
import { completionModel } from '../agent/cli/completion/model.ts';
import { manPages } from '../agent/cli/man-page.ts';
import { compiledSchemas } from './compiled-schemas.ts';
import { ROOT } from './setup.mjs';

const OUT_DIR = join(ROOT, 'dist/cli');

/** Where each shell looks for the completions of a program, below /usr/share. */
const COMPLETION_FILES: Record<string, string> = {
  bash: 'bash-completion/completions/wherry',
  zsh: 'zsh/vendor-completions/_wherry',
  fish: 'fish/vendor_completions.d/wherry.fish',
};

/** Their tools are not on a device. */
const withoutTools: PluginOption = {
  name: 'without-tools',
  enforce: 'pre',
  resolveId: (id) => (id.endsWith('/tool-nouns.ts') ? '\0no-tools' : undefined),
  load: (id) => (id === '\0no-tools' ? 'export const TOOL_NOUNS = {}' : undefined),
};

/** What belongs below /usr/share, in `share`; dated like everything that is the same on each build. */
const share: PluginOption = {
  name: 'share',
  writeBundle: ({ dir = OUT_DIR }) => {
    writeFileSync(join(dir, 'package.json'), '{ "type": "module" }\n');
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    for (const { file, source } of manPages(COMMANDS, { version, date: version }))
      place(join(dir, 'share/man/man1', file), source);
    const model = { ...completionModel(COMMANDS), tools: [] };
    for (const [shell, path] of Object.entries(COMPLETION_FILES))
      place(join(dir, 'share', path), SHELLS[shell]?.(model) ?? '');
  },
};

function place(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

export const cliBundle: InlineConfig = {
  root: ROOT,
  configFile: false,
  // The list of commands is asked for by two of them when they run: rolldown need not say so.
  logLevel: 'error',
  plugins: [withoutTools, compiledSchemas(), share],
  ssr: { noExternal: true, external: ['better-sqlite3'], target: 'node' },
  build: {
    ssr: true,
    outDir: OUT_DIR,
    emptyOutDir: true,
    target: 'node24',
    reportCompressedSize: false,
    rolldownOptions: {
      input: { main: join(ROOT, 'agent/cli/main.ts') },
      output: { format: 'es', entryFileNames: '[name].js', chunkFileNames: '[name].js', minify: true },
    },
  },
};
