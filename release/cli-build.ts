import { fileURLToPath } from 'node:url';
import { formatBytes } from '../protocol/quantities.ts';
import { buildRelease } from './build.ts';
import { columns, type Invocation, print, progress } from './cli-io.ts';

export const BUILD_HELP = `Usage: wherry release build [-f release.yaml] [-o folder]

Turns release.yaml and its images into a release folder. Needs no root.

  -f, --file FILE    the release (default: release.yaml)
  -o, --out FOLDER   where it goes (default: ./release)
  --boards FOLDER    board definitions (default: those of this installation)
  --cache FOLDER     converted layers, shared between builds (default: <out>/.cache)
  --json             print the result as JSON
`;

const BOARDS = fileURLToPath(new URL('../board-configs', import.meta.url));

export async function runBuild(invocation: Invocation): Promise<number> {
  const { values } = invocation;
  const out = values['out'] ?? 'release';
  const result = await buildRelease({
    sourceFile: values['file'] ?? 'release.yaml',
    outDir: out,
    boardsDir: values['boards'] ?? BOARDS,
    ...(values['cache'] !== undefined && { cacheDir: values['cache'] }),
    onProgress: (event) => {
      if (event.kind === 'layer')
        progress(
          invocation,
          `${event.service} ${event.platform}: layer ${event.diffId.slice(0, 12)}, ${formatBytes(event.sizeBytes)}${event.isNew ? '' : ', known'}`,
        );
    },
  });
  for (const note of result.notes) invocation.io.stderr.write(`Note: ${note}\n`);
  const { name, version } = result.manifest;
  const bytes = result.blobs.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
  const data = {
    name,
    version,
    manifestSha256: result.manifestSha256,
    folder: out,
    blobs: result.blobs,
    notes: result.notes,
  };
  print(invocation, data, [
    `Built ${name} ${version} in ${out}`,
    ...columns([
      ['manifest', result.manifestSha256],
      ['boards', result.manifest.boards.join(', ')],
      ['blobs', `${result.blobs.length}, ${formatBytes(bytes)}`],
    ]),
  ]);
  return 0;
}
