import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const SUITES = ['bookworm', 'bookworm-updates', 'bookworm-security'];
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** The host's own Debian 12 sources as deb822 text: its mirror, nobody else's packages. */
export async function debianSources(aptDir = '/etc/apt'): Promise<string> {
  const parts = join(aptDir, 'sources.list.d');
  const names = (await readdir(parts).catch(() => [])).sort();
  const files = [join(aptDir, 'sources.list'), ...names.map((name) => join(parts, name))];
  const texts = await Promise.all(
    files.map(async (file) => ({ file, text: await readFile(file, 'utf8').catch(() => '') })),
  );
  const stanzas = texts.flatMap(({ file, text }) => {
    if (file.endsWith('.sources')) return parseStanzas(text);
    return file.endsWith('.list') ? parseLines(text) : [];
  });
  const found = stanzas.flatMap(debianOnly);
  if (found.length === 0)
    throw new Error(`Cannot find Debian 12 sources in ${aptDir}: wanted bookworm, signed by ${KEYRING}`);
  return found.join('\n');
}

interface Source {
  uris: string;
  suites: string[];
  components: string;
  signedBy: string | undefined;
}

/** Only Debian's own suites; a key of somebody else's means a repository of somebody else's. */
function debianOnly({ uris, suites, components, signedBy }: Source): string[] {
  const wanted = suites.filter((suite) => SUITES.includes(suite));
  if (wanted.length === 0 || !components.split(/\s+/).includes('main')) return [];
  if (signedBy !== undefined && signedBy !== KEYRING) return [];
  return [
    `Types: deb\nURIs: ${uris}\nSuites: ${wanted.join(' ')}\nComponents: main\nSigned-By: ${KEYRING}\n`,
  ];
}

function parseStanzas(text: string): Source[] {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const fields = new Map(
      stanza
        .split('\n')
        .filter((line) => !line.startsWith('#') && line.includes(':'))
        .map((line) => [
          line.slice(0, line.indexOf(':')).toLowerCase(),
          line.slice(line.indexOf(':') + 1).trim(),
        ]),
    );
    if (!fields.get('types')?.split(/\s+/).includes('deb') || fields.get('enabled') === 'no') return [];
    return [
      {
        uris: fields.get('uris') ?? '',
        suites: (fields.get('suites') ?? '').split(/\s+/),
        components: fields.get('components') ?? '',
        signedBy: fields.get('signed-by'),
      },
    ];
  });
}

/** "deb [signed-by=… arch=…] uri suite component…" */
function parseLines(text: string): Source[] {
  return text.split('\n').flatMap((line) => {
    const match = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+)$/.exec(line.trim());
    if (!match) return [];
    const [, options = '', uris = '', suite = '', components = ''] = match;
    return [{ uris, suites: [suite], components, signedBy: /signed-by=(\S+)/.exec(options)?.[1] }];
  });
}
