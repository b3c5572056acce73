import {
  type Manifest,
  type ManifestAgent,
  type ManifestBlob,
  type Receiver,
  systemFor,
} from '../manifest.ts';

export type Base = ManifestBlob;

/**
 * Blobs that may be older versions of a layer, the likeliest first: what stood in its place in the same service, then
 * in that place counted from the top, then elsewhere in the same service, then anywhere. Each once, never the layer.
 */
export function basesOf(
  layer: Base,
  incoming: Manifest,
  held: readonly Manifest[],
  receiver: Receiver,
): Base[] {
  const ranked: { base: Base; rank: number }[] = [];
  const places = placesOf(incoming, receiver).filter(({ verity }) => verity === layer.verity);
  for (const { verity, size, service, index, fromTop } of held.flatMap((each) => placesOf(each, receiver))) {
    const ranks = places.map((place) => {
      if (place.service !== service) return 3;
      if (place.index === index) return 0;
      return place.fromTop === fromTop ? 1 : 2;
    });
    ranked.push({ base: { verity, size }, rank: Math.min(3, ...ranks) });
  }
  const likeliest = ranked.sort(
    (a, b) => a.rank - b.rank || nearness(a.base, layer) - nearness(b.base, layer),
  );
  const once = new Map(likeliest.map(({ base }) => [base.verity, base]));
  once.delete(layer.verity);
  return [...once.values()];
}

/** Layers that a device with these releases does not have, each once. */
export function lackingLayers(incoming: Manifest, held: readonly Manifest[], receiver: Receiver): Base[] {
  const has = new Set(held.flatMap((each) => placesOf(each, receiver)).map(({ verity }) => verity));
  const layers = placesOf(incoming, receiver).map(({ verity, size }) => [verity, { verity, size }] as const);
  return [...new Map(layers).values()].filter(({ verity }) => !has.has(verity));
}

/** A version of a blob is about as large as the one before. */
const nearness = (base: Base, layer: Base): number => Math.abs(base.size - layer.size);

function placesOf(manifest: Manifest, { platform, board }: Receiver) {
  const { services, agent } = manifest;
  const slot = board === undefined ? undefined : systemFor(manifest, board);
  // No service has an empty name, nor one with a space.
  const images = [...Object.entries(services), ...(agent ? [['', agent] as const] : [])].map(
    ([service, held]) => {
      const { [platform]: image }: ManifestAgent['images'] = held.images;
      return [service, image?.layers ?? []] as const;
    },
  );
  const parts = slot ? [['system boot', [slot.boot]] as const, ['system root', [slot.root]] as const] : [];
  return [...images, ...parts].flatMap(([service, blobs]) =>
    blobs.map(({ verity, size }, index) => ({
      verity,
      size,
      service,
      index,
      fromTop: blobs.length - index,
    })),
  );
}
