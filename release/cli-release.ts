import { readFile } from 'node:fs/promises';
import { formatBytes } from '../protocol/quantities.ts';
import { type Against, costAgainst, type UpdateCost } from './against.ts';
import { columns, type Invocation, need, print, progress } from './cli-io.ts';
import { type MetadataTexts, readMetadata } from './folder.ts';
import { type InspectedService, type Inspection, inspectRelease, type SignatureReport } from './inspect.ts';
import { askedLines, channelLines } from './inspect-lines.ts';
import { readRepository, type SignerRepository } from './keys-repository.ts';
import { pushRelease } from './push.ts';
import { readDraft, requireComplete } from './sign-draft.ts';

export const INSPECT_HELP = `Usage: wherry release inspect FOLDER [--root FILE] [--against DIR]

Shows a release folder and checks its signatures and every blob. Exit code 4: something is not what was signed.

  --root FILE    root metadata to trust (default: the folder's own first root)
  --against DIR  also say what a device that runs this older release folder fetches
  --json         print the result as JSON
`;
export const PUSH_HELP = `Usage: wherry release push FOLDER --server URL [--token TOKEN]

Uploads what the server lacks of a signed release and publishes it. Safe to repeat. Refuses a draft that lacks
signatures, and says whose.

  --draft DRAFT    the metadata to publish it with, signed by enough
  --keys FOLDER    publish with the newest metadata this folder knows, as after a rotation of root
  --server URL     the fleet server (or WHERRY_SERVER)
  --token TOKEN    API token (or WHERRY_TOKEN)
  --json           print the result as JSON
`;

export async function runPush(invocation: Invocation): Promise<number> {
  const [dir = ''] = invocation.operands;
  const token = invocation.values['token'] ?? invocation.io.env['WHERRY_TOKEN'];
  const result = await pushRelease({
    dir,
    server: need(invocation, 'server', 'WHERRY_SERVER', 'server'),
    metadata: await metadataFor(invocation, dir),
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

/** From a finished draft or from a signer's repository; undefined = as it stands in the release folder. */
async function metadataFor({ values }: Invocation, dir: string): Promise<MetadataTexts | undefined> {
  const { draft: path, keys: keysDir } = values;
  if (path === undefined && keysDir === undefined) return undefined;
  if (path === undefined) return textsOf(await readRepository(keysDir ?? ''));
  const draft = await readDraft(path);
  requireComplete(draft);
  const before = await readMetadata(dir);
  const roots = draft.roots.map(({ text }) => text);
  if (draft.role === 'root')
    return { roots: [...roots, draft.file.metadata], targets: before.targets, delegated: before.delegated };
  if (draft.role === 'targets') return { roots, targets: draft.file.metadata, delegated: before.delegated };
  return { roots, targets: draft.delegator?.text, delegated: { [draft.role]: draft.file.metadata } };
}

const textsOf = ({ roots, targets, delegated }: SignerRepository): MetadataTexts => ({
  roots: roots.map(({ text }) => text),
  targets: targets?.text,
  delegated: Object.fromEntries([...delegated].map(([role, { text }]) => [role, text])),
});

export async function runInspect(invocation: Invocation): Promise<number> {
  const [dir = ''] = invocation.operands;
  const rootFile = invocation.values['root'];
  const inspection = await inspectRelease({
    dir,
    ...(rootFile !== undefined && { trustedRoot: await readFile(rootFile, 'utf8') }),
  });
  const older = invocation.values['against'];
  const against = older === undefined ? undefined : await costAgainst(dir, older);
  const lines = inspectionLines(inspection);
  print(
    invocation,
    { ...inspection, ...(against && { against }) },
    against ? [...lines, '', ...againstLines(against)] : lines,
  );
  return inspection.signature.state === 'bad' || inspection.blobFaults.length > 0 ? 4 : 0;
}

const againstLines = ({ release, platforms, systems = [] }: Against): string[] => [
  `A device that runs ${release} fetches about`,
  ...columns([
    ...platforms.map((cost) => ['', cost.platform, ...costCells(cost, 'layer')]),
    ...systems.map((cost) => ['', `system of ${cost.board}`, ...costCells(cost, 'part')]),
  ]),
];

const costCells = ({ layers, wireBytes, fullBytes }: UpdateCost, what: string): string[] => [
  formatBytes(wireBytes),
  `for ${layers} changed ${layers === 1 ? what : `${what}s`}; ${formatBytes(fullBytes)} if it held none`,
];

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
      ...(inspection.agent ? [['agent', inspection.agent.version]] : []),
      ...(inspection.system ? [['system', systemText(inspection.system)]] : []),
      ['signature', signatureText(inspection.signature)],
      ['blobs', inspection.blobFaults.join('; ') || 'all there, digests hold'],
    ]),
    '',
    ...columns([
      ['SERVICE', 'IMAGE', 'LAYERS', 'SIZE', 'USER', 'MEMORY', 'CPU', 'PIDS'],
      ...inspection.services.flatMap(serviceRows),
    ]),
    ...channelLines(inspection),
    ...inspection.services.flatMap(askedLines),
  ];
}

const systemText = ({ version, sizeBytes }: NonNullable<Inspection['system']>): string => {
  const sizes = Object.entries(sizeBytes).map(([board, bytes]) => `${board} ${formatBytes(bytes)}`);
  return `${version}: ${sizes.join(', ')}`;
};

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
  role,
}: SignatureReport): string {
  if (state === 'unsigned') return 'none; run wherry release sign';
  if (state === 'bad') return `BAD: ${fault}`;
  return `good, by ${shortIds(signedBy)}${role ? ` for ${role}` : ''} (targets version ${targetsVersion}, root version ${rootVersion}, expires ${expires})`;
}

const shortIds = (ids: string[]): string => ids.map((id) => id.slice(0, 16)).join(', ');
