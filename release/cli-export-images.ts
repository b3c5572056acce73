import { formatBytes } from '../protocol/quantities.ts';
import { columns, type Invocation, print, progress } from './cli-io.ts';
import { ReleaseError } from './errors.ts';
import { exportImages } from './export-images.ts';

export const EXPORT_IMAGES_HELP = `Usage: wherry release export-images FOLDER --to LAYOUT [--service NAME]

Writes the images of a release folder as an OCI image layout that skopeo, umoci and podman read, each service an image
of its name. Every blob is checked first. Needs no root.

  --to LAYOUT       where to; a new or empty folder
  --service NAME    only this service
  --json            print the result as JSON
`;

export async function runExportImages(invocation: Invocation): Promise<number> {
  const [dir = ''] = invocation.operands;
  const { to, service } = invocation.values;
  if (to === undefined) throw new ReleaseError('usage', 'Cannot export: no folder is given; set --to');
  const images = await exportImages({
    dir,
    to,
    ...(service !== undefined && { service }),
    onProgress: ({ verity, sizeBytes }) =>
      progress(invocation, `layer ${verity.slice(0, 12)}, ${formatBytes(sizeBytes)}`),
  });
  const rows = images.map(({ ref, platforms, digest }) => [
    `oci:${to}:${ref}`,
    platforms.join(', '),
    digest.slice(0, 19),
  ]);
  print(invocation, { layout: to, images }, columns(rows));
  return 0;
}
