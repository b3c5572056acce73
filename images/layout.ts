import { createHash } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Platform } from '../protocol/manifest.ts';
import { run } from './run.ts';

/** The one time that images carry: the same sources give the same digests. */
export const BUILT_AT = '2026-01-01T00:00:00Z';
const HISTORY = ['--history.created', BUILT_AT, '--history.created_by', 'wherry images'];
const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';

const refOf = (platform: Platform): string => platform.replace('/', '-');

/** An OCI image layout with an empty image for each platform, made by umoci. */
export async function createLayout(layout: string, platforms: Platform[]): Promise<void> {
  await run('umoci', ['init', '--layout', layout]);
  for (const platform of platforms) {
    const [os = '', architecture = ''] = platform.split('/');
    const image = `${layout}:${refOf(platform)}`;
    await run('umoci', ['new', '--image', image]);
    const fixed = ['--os', os, '--architecture', architecture, '--created', BUILT_AT, '--no-history'];
    await run('umoci', ['config', '--image', image, ...fixed]);
  }
}

export async function addLayer(layout: string, platform: Platform, tar: string): Promise<void> {
  await run('umoci', ['raw', 'add-layer', '--image', `${layout}:${refOf(platform)}`, ...HISTORY, tar]);
}

export async function configure(
  layout: string,
  platform: Platform,
  { user, entrypoint }: { user: string; entrypoint: string[] },
): Promise<void> {
  const image = `${layout}:${refOf(platform)}`;
  const fixed = ['--image', image, '--created', BUILT_AT, '--no-history', '--config.workingdir', '/'];
  const words = entrypoint.flatMap((word) => ['--config.entrypoint', word]);
  await run('umoci', ['config', ...fixed, '--config.user', user, ...words]);
}

/** Drops what no image names any more, then makes the platforms one multi-platform image: an index of the manifests. */
export async function finishLayout(layout: string, platforms: Platform[]): Promise<void> {
  await run('umoci', ['gc', '--layout', layout]);
  const file = join(layout, 'index.json');
  const { manifests } = JSON.parse(await readFile(file, 'utf8')) as {
    manifests: { mediaType: string; digest: string; size: number; annotations: Record<string, string> }[];
  };
  const entries = platforms.map((platform) => {
    const found = manifests.find(
      (entry) => entry.annotations['org.opencontainers.image.ref.name'] === refOf(platform),
    );
    if (!found) throw new Error(`Cannot finish image layout ${layout}: it has no ${platform}`);
    const [os, architecture] = platform.split('/');
    return {
      mediaType: found.mediaType,
      digest: found.digest,
      size: found.size,
      platform: { architecture, os },
    };
  });
  const index = JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests: entries });
  const sha256 = createHash('sha256').update(index).digest('hex');
  await writeFile(join(layout, 'blobs/sha256', sha256), index);
  const { size } = await stat(join(layout, 'blobs/sha256', sha256));
  await writeFile(
    file,
    JSON.stringify({
      schemaVersion: 2,
      manifests: [{ mediaType: INDEX_TYPE, digest: `sha256:${sha256}`, size }],
    }),
  );
}
