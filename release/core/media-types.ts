/** Media types of OCI image-spec v1.1 and Docker's image manifest v2, and what becomes of each. */
const INDEXES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];
const MANIFESTS = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];
const CONFIGS = [
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
];
const LAYERS: Record<string, Compression> = {
  'application/vnd.oci.image.layer.v1.tar': 'none',
  'application/vnd.oci.image.layer.v1.tar+gzip': 'gzip',
  'application/vnd.oci.image.layer.v1.tar+zstd': 'zstd',
  'application/vnd.docker.image.rootfs.diff.tar': 'none',
  'application/vnd.docker.image.rootfs.diff.tar.gzip': 'gzip',
  'application/vnd.docker.image.rootfs.diff.tar.zstd': 'zstd',
};

export type Compression = 'none' | 'gzip' | 'zstd';
export type DocumentKind = { kind: 'index' } | { kind: 'manifest' } | { kind: 'refused'; what: string };
export type LayerKind = { ok: true; compression: Compression } | { ok: false; what: string };

export function documentKind(mediaType: string): DocumentKind {
  if (INDEXES.includes(mediaType)) return { kind: 'index' };
  if (MANIFESTS.includes(mediaType)) return { kind: 'manifest' };
  if (/vnd\.docker\.distribution\.manifest\.v1\+/.test(mediaType))
    return { kind: 'refused', what: 'it is a Docker schema 1 manifest; rebuild or convert the image' };
  return { kind: 'refused', what: `media type "${mediaType}" is neither an image manifest nor an index` };
}

export const isImageConfig = (mediaType: string): boolean => CONFIGS.includes(mediaType);

export function layerKind(mediaType: string): LayerKind {
  const compression = LAYERS[mediaType];
  if (compression) return { ok: true, compression };
  if (mediaType.endsWith('+encrypted'))
    return { ok: false, what: 'it is encrypted; decrypt the image first' };
  if (/nondistributable|rootfs\.foreign/.test(mediaType))
    return {
      ok: false,
      what: 'it is a foreign layer, which is not in the image; use an image that holds it',
    };
  return { ok: false, what: `media type "${mediaType}" is not a file-system layer` };
}
