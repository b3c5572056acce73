import { canonicalJson, sha256Hex } from '../../protocol/canonical.ts';
import type { ChannelDefinition } from '../../protocol/channels.ts';
import type { Manifest, Platform } from '../../protocol/manifest.ts';
import type { ServiceChannel, ServiceSpec } from './service-spec.ts';

export type SpecsOutcome =
  | { ok: true; services: ServiceSpec[] }
  | { ok: false; code: 'refused.platform'; message: string };

/** The services of a release as this platform runs them, ordered by name. */
export function toServiceSpecs(manifest: Manifest, platform: Platform): SpecsOutcome {
  const services: ServiceSpec[] = [];
  for (const [name, service] of Object.entries(manifest.services).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const image = service.images[platform];
    if (image === undefined) {
      const held = Object.keys(service.images).join(', ');
      const message = `Cannot run service "${name}": the release holds images for ${held}; this device is ${platform}`;
      return { ok: false, code: 'refused.platform', message };
    }
    const { layers, args, environment, workingDir, uid, gid } = image;
    const { images: _images, mounts: _mounts, segments: _segments, ...policies } = service;
    const mounts = service.mounts.map((mount) => ({ ...mount, ...volumeOf(manifest, name, mount.volume) }));
    const verities = layers.map(({ verity }) => verity);
    const user = { uid, gid };
    const segments = segmentsOf(manifest, name);
    const channels = channelsOf(manifest, name);
    const program = { name, layers: verities, args, environment, workingDir, ...user };
    const rest = {
      ...program,
      ...policies,
      mounts,
      ...(segments && { segments }),
      ...(channels && { channels }),
    };
    services.push({ ...rest, digest: sha256Hex(canonicalJson(rest)) });
  }
  return { ok: true, services };
}

function segmentsOf(manifest: Manifest, service: string): ServiceSpec['segments'] {
  const joined = manifest.services[service]?.segments;
  if (joined === undefined) return undefined;
  return Object.entries(joined).map(([name, { aliases }]) => {
    const declared = manifest.networks?.[name];
    if (declared === undefined)
      throw new Error(`Cannot run service "${service}": network "${name}" is not declared in the manifest`);
    return { name, aliases, isInternal: declared.internal ?? false };
  });
}

function channelsOf({ channels = {} }: Manifest, service: string): ServiceChannel[] | undefined {
  const joined = Object.entries(channels).filter(
    ([, { publishers, subscribers }]) => publishers.includes(service) || subscribers.includes(service),
  );
  if (joined.length === 0) return undefined;
  return joined
    .map(([name, definition]) => serviceChannel(name, definition))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

const ID_DIGITS = 12;

export function serviceChannel(name: string, definition: ChannelDefinition): ServiceChannel {
  const digest = sha256Hex(canonicalJson({ name, ...definition }));
  return { name, id: `${name}.${digest.slice(0, ID_DIGITS)}`, ...definition };
}

function volumeOf(manifest: Manifest, service: string, volume: string): Manifest['volumes'][string] {
  const declared = manifest.volumes[volume];
  if (declared === undefined) {
    throw new Error(`Cannot run service "${service}": volume "${volume}" is not declared in the manifest`);
  }
  return declared;
}
