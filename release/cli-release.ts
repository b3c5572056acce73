import { readFile } from 'node:fs/promises';
import { formatBytes } from '../protocol/quantities.ts';
import { columns, days, type Invocation, need, print, progress } from './cli-io.ts';
import { type InspectedService, type Inspection, inspectRelease, type SignatureReport } from './inspect.ts';
import { askedLines } from './inspect-lines.ts';
import { pushRelease } from './push.ts';
import { signRelease } from './sign.ts';

export const SIGN_HELP = `Usage: wherry release sign FOLDER --keys FOLDER

Signs a release folder. Signing the same release again changes nothing.

  --keys FOLDER          the signer's keys (or WHERRY_KEYS)
  --expires-days DAYS    until the signature expires (default: 365)
  --json                 print the result as JSON
`;
export const INSPECT_HELP = `Usage: wherry release inspect FOLDER [--root FILE]

Shows a release folder and checks its signatures and every blob. Exit code 4: something is not what was signed.

  --root FILE    root metadata to trust (default: the folder's own first root)
  --json         print the result as JSON
`;
export const PUSH_HELP = `Usage: wherry release push FOLDER --server URL [--token TOKEN]

Uploads what the server lacks of a signed release and publishes it. Safe to repeat.

  --server URL     the fleet server (or WHERRY_SERVER)
  --token TOKEN    API token (or WHERRY_TOKEN)
  --json           print the result as JSON
`;

export async function runSign(invocation: Invocation): Promise<number> {
  const [dir = ''] = invocation.operands;
  const keysDir = need(invocation, 'keys', 'WHERRY_KEYS', 'keys folder');
  const result = await signRelease({ dir, keysDir, ...days(invocation) });
  const verb = result.isNew ? 'Signed' : 'Was signed already:';
  print(invocation, result, [
    `${verb} ${result.name} ${result.version}, targets version ${result.targetsVersion}, by ${shortIds(result.signedBy)}`,
  ]);
  return 0;
}

export async function runPush(invocation: Invocation): Promise<number> {
  const [dir = ''] = invocation.operands;
  const token = invocation.values['token'] ?? invocation.io.env['WHERRY_TOKEN'];
  const result = await pushRelease({
    dir,
    server: need(invocation, 'server', 'WHERRY_SERVER', 'server'),
    ...(token !== undefined && { token }),
    onProgress: ({ object, sizeBytes, isSent, done, total }) =>
      progress(
        invocation,
        `${done}/${total} ${object.slice(0, 24)} ${formatBytes(sizeBytes)}${isSent ? '' : ', there already'}`,
      ),
  });
  print(invocation, result, [
    `Pushed as ${result.id}: ${result.sentObjects} objects, ${formatBytes(result.sentBytes)} sent`,
  ]);
  return 0;
}

export async function runInspect(invocation: Invocation): Promise<number> {
  const [dir = ''] = invocation.operands;
  const rootFile = invocation.values['root'];
  const inspection = await inspectRelease({
    dir,
    ...(rootFile !== undefined && { trustedRoot: await readFile(rootFile, 'utf8') }),
  });
  print(invocation, inspection, inspectionLines(inspection));
  return inspection.signature.state === 'bad' || inspection.blobFaults.length > 0 ? 4 : 0;
}

function inspectionLines(inspection: Inspection): string[] {
  const sizes = Object.entries(inspection.sizeBytes).map(
    ([platform, size]) => `${platform} ${formatBytes(size)}`,
  );
  return [
    ...columns([
      ['release', `${inspection.name} ${inspection.version}`],
      ...(inspection.description ? [['', inspection.description]] : []),
      ['manifest', inspection.manifestSha256],
      ['boards', inspection.boards.join(', ')],
      ['size', sizes.join(', ')],
      ['signature', signatureText(inspection.signature)],
      ['blobs', inspection.blobFaults.join('; ') || 'all there, digests hold'],
    ]),
    '',
    ...columns([
      ['SERVICE', 'IMAGE', 'LAYERS', 'SIZE', 'USER', 'MEMORY', 'CPU', 'PIDS'],
      ...inspection.services.flatMap(serviceRows),
    ]),
    ...inspection.services.flatMap(askedLines),
  ];
}

const serviceRows = ({ name, images, resources }: InspectedService): string[][] =>
  Object.entries(images).map(([platform, image]) => [
    name,
    `${platform} ${image.manifestDigest.slice(0, 12)}`,
    String(image.layers),
    formatBytes(image.sizeBytes),
    image.user,
    formatBytes(resources.memoryMaxBytes),
    String(resources.cpuMax),
    String(resources.pidsMax),
  ]);

function signatureText({
  state,
  fault,
  targetsVersion,
  rootVersion,
  signedBy,
  expires,
}: SignatureReport): string {
  if (state === 'unsigned') return 'none; run wherry release sign';
  if (state === 'bad') return `BAD: ${fault}`;
  return `good, by ${shortIds(signedBy)} (targets version ${targetsVersion}, root version ${rootVersion}, expires ${expires})`;
}

const shortIds = (ids: string[]): string => ids.map((id) => id.slice(0, 16)).join(', ');
