import { setTimeout as pause } from 'node:timers/promises';
import type { UpdateWishAnswer } from '../../local-api/answers.ts';
import type { Call } from '../command.ts';
import { CliError } from '../errors.ts';
import { type FoundBundle, MEDIA_PLACES, type Media, searchMedia } from './sticks.ts';

const LOOK_MS = 500;

/**
 * Takes the one bundle that media hold. `device`: of this partition alone. A medium that had to be mounted for it stays
 * mounted until the agent has all of it, and is let go whatever happens.
 */
export async function applyFromMedia(
  call: Call,
  by: string,
  device: string | undefined,
): Promise<UpdateWishAnswer> {
  const media = await searchMedia(call.io.media ?? MEDIA_PLACES);
  try {
    const bundle = onlyOne(media, device);
    await call.say(`Found ${bundle.release} in ${bundle.device ?? bundle.folder}`);
    const answer = await call.client.wish('apply', { by, folder: bundle.folder });
    if (bundle.device !== undefined) await untilRead(call, bundle);
    return answer;
  } finally {
    await media.letGo();
  }
}

function onlyOne({ bundles, faults }: Media, device: string | undefined): FoundBundle {
  const found = device === undefined ? bundles : bundles.filter((bundle) => bundle.device === device);
  const [bundle] = found;
  if (bundle === undefined)
    throw new CliError(
      'no-release-bundle',
      `Cannot apply from a medium: ${device === undefined ? 'nothing that is plugged in holds a' : `${device} holds no`} release bundle`,
      [...faults, 'Write one with: wherry release export <name> <version> --to <folder on the stick>'],
    );
  if (found.length > 1)
    throw new CliError(
      'several-bundles',
      `Cannot apply from a medium: there are ${found.length} release bundles; say which`,
      found.map(({ release, folder, device: on }) => `wherry update apply ${on ?? folder}   (${release})`),
    );
  return bundle;
}

/** Until nothing more is fetched for the release; what happens to it then is told by update status. */
async function untilRead({ client, io, say }: Call, { release, device }: FoundBundle): Promise<void> {
  await say(`Leave ${device} in until this ends`);
  for (;;) {
    const { phase, incoming } = await client.update();
    const label = incoming && `${incoming.release.name} ${incoming.release.version}`;
    if (phase !== 'fetching' || label !== release) return;
    await pause(LOOK_MS, undefined, { signal: io.signal });
  }
}
