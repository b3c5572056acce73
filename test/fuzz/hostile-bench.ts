import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sha256Hex } from '../../protocol/canonical.ts';
import type { RawEntry } from './tar-archive.ts';

export const MIB = 1024 * 1024;
export const CHILD = fileURLToPath(new URL('convert-child.ts', import.meta.url));
/** What a hostile image may cost the one who builds, in MiB of memory in all, and in time. */
export const MOST_MIB = 700;
export const PATIENCE_MS = 100_000;
/** Removed by who uses it. */
export const bench = mkdtempSync(join(tmpdir(), `wherry-hostile-images-${process.pid}-`));
export const removeBench = (): void => rmSync(bench, { recursive: true, force: true });

/** Everything below a folder, with what it is. */
export const listing = (folder: string): string =>
  execFileSync('find', [folder, '-printf', '%P %y %s %l\n'], { encoding: 'utf8' });

/** A folder of its own, three levels down from a canary that nothing may touch. */
export function place(): { folder: string; isUntouched: () => boolean } {
  const outer = mkdtempSync(join(bench, 'place-'));
  const folder = join(outer, 'a', 'b');
  mkdirSync(join(folder, 'temp'), { recursive: true });
  writeFileSync(join(outer, 'canary'), 'alive');
  const without = () =>
    listing(outer)
      .split('\n')
      .filter((line) => !line.startsWith('a/b'))
      .join('\n');
  const before = without();
  return { folder, isUntouched: () => without() === before };
}

/** Builds from a reference in a process of its own with little memory, which is given up on after a time. */
export async function build(reference: string, folder: string): Promise<{ came: string; mostMib: number }> {
  const child = spawn(process.execPath, ['--max-old-space-size=256', CHILD, reference, folder], {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: AbortSignal.timeout(PATIENCE_MS),
    killSignal: 'SIGKILL',
  });
  let said = '';
  child.stdout.on('data', (data: Buffer) => {
    said += String(data);
  });
  let complaint = '';
  child.stderr.on('data', (data: Buffer) => {
    complaint += String(data);
  });
  child.on('error', () => {});
  await new Promise((resolve) => child.on('close', resolve));
  if (said === '') return { came: `it died or hung: ${complaint.slice(-300)}`, mostMib: 0 };
  return JSON.parse(said) as { came: string; mostMib: number };
}

export const file = (name: string | Buffer, change: Partial<RawEntry> = {}): RawEntry => ({
  name,
  content: Buffer.from('x'),
  ...change,
});
export const folder = (name: string): RawEntry => ({ name, flag: '5', mode: '0000755' });
export const link = (name: string, target: string): RawEntry => ({ name, flag: '2', link: target });
export const hardLink = (name: string, target: string): RawEntry => ({ name, flag: '1', link: target });

export interface Blob {
  data: Buffer;
  mediaType?: string;
}
export const digestOf = (data: Buffer): string => `sha256:${sha256Hex(data)}`;

/** An OCI layout of one image over these stored layers; `change` spoils its documents. */
export function layout(
  at: string,
  layers: readonly (Blob & { diffId?: string })[],
  change: (kind: 'index' | 'manifest' | 'config', document: object) => unknown = (_kind, document) =>
    document,
): string {
  const blobs = join(at, 'blobs', 'sha256');
  mkdirSync(blobs, { recursive: true });
  const put = (data: Buffer, mediaType: string) => {
    writeFileSync(join(blobs, sha256Hex(data)), data);
    return { mediaType, digest: digestOf(data), size: data.length };
  };
  const text = (kind: 'index' | 'manifest' | 'config', document: object) =>
    Buffer.from(JSON.stringify(change(kind, document)) ?? '');
  const stored = layers.map(({ data, mediaType = 'application/vnd.oci.image.layer.v1.tar' }) =>
    put(data, mediaType),
  );
  const diff_ids = layers.map(({ data, diffId }) => diffId ?? digestOf(data));
  const config = {
    os: 'linux',
    architecture: 'amd64',
    config: { Cmd: ['/x'] },
    rootfs: { type: 'layers', diff_ids },
  };
  const manifest = {
    schemaVersion: 2,
    config: put(text('config', config), 'application/vnd.oci.image.config.v1+json'),
    layers: stored,
  };
  const entry = put(text('manifest', manifest), 'application/vnd.oci.image.manifest.v1+json');
  writeFileSync(join(at, 'index.json'), text('index', { schemaVersion: 2, manifests: [entry] }));
  writeFileSync(join(at, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  return `oci:${at}`;
}
