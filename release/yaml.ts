import { parseDocument } from 'yaml';

/** YAML 1.2 to plain data. Duplicate keys, aliases' bombs and syntax errors are faults with line and column. */
export function parseYaml(text: string): { ok: true; value: unknown } | { ok: false; faults: string[] } {
  const document = parseDocument(text, { uniqueKeys: true, prettyErrors: true });
  if (document.errors.length > 0)
    return { ok: false, faults: document.errors.map((error) => firstLine(error.message)) };
  try {
    return { ok: true, value: document.toJS({ maxAliasCount: 100 }) };
  } catch (error) {
    return { ok: false, faults: [firstLine(error instanceof Error ? error.message : String(error))] };
  }
}

const firstLine = (text: string): string => text.split('\n')[0]?.replace(/:$/, '') ?? text;
