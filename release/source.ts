import { readFile } from 'node:fs/promises';
import { checkReleaseSource, type ReleaseSource } from '../protocol/release-source.ts';
import { messageOf, ReleaseError } from './errors.ts';
import { parseYaml } from './yaml.ts';

/** `release.yaml` as its schema knows it. Throws ReleaseError `source` with one line for each fault. */
export async function readSource(file: string): Promise<ReleaseSource> {
  const fail = (faults: string[], cause?: unknown): never => {
    const list = faults.length === 1 ? ` ${faults[0]}` : faults.map((fault) => `\n  ${fault}`).join('');
    throw new ReleaseError('source', `Cannot read release ${file}:${list}`, { cause });
  };
  const text = await readFile(file, 'utf8').catch((error: unknown) => fail([messageOf(error)], error));
  const parsed = parseYaml(text);
  if (!parsed.ok) return fail(parsed.faults);
  const checked = checkReleaseSource(parsed.value);
  return checked.ok ? checked.value : fail(checked.faults);
}
