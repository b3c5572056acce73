/**
 * Numbers both ends enforce. Sizes in bytes, times in milliseconds.
 * A peer that exceeds one of these is wrong; the receiver refuses by name and never truncates.
 */
export const LIMITS = {
  /** Largest MQTT PUBLISH in all, header and topic included. */
  publishBytes: 128 * 1024,
  /** What an unauthenticated socket may declare as its first packet's length. */
  preAuthPacketBytes: 4 * 1024,
  /** What an authenticated session may declare as a packet's length. */
  packetBytes: 160 * 1024,
  chunkBytes: 64 * 1024,
  minChunkBytes: 16 * 1024,
  maxChunkBytes: 120 * 1024,
  /** Chunks one `get` may ask for: the bitmap's width. */
  chunksPerGet: 256,
  minWindowBytes: 128 * 1024,
  maxWindowBytes: 512 * 1024,
  /** Metadata size caps per role. TUF 1.0.34 §5.3.3, §5.4.1: bounded downloads stop endless-data attacks. */
  rootBytes: 64 * 1024,
  timestampBytes: 16 * 1024,
  snapshotBytes: 256 * 1024,
  targetsBytes: 1024 * 1024,
  manifestBytes: 1024 * 1024,
  /** How many root versions one refresh may walk. TUF 1.0.34 §5.3. */
  rootSteps: 256,
  /** How many delegated roles one search may visit. TUF 1.0.34 §5.6.7.1. */
  delegatedRoles: 32,
  services: 64,
  layersPerImage: 64,
  blobBytes: 8 * 1024 ** 3,
  /** The boot partition of a system: FAT images are copied whole. */
  bootBytes: 1024 ** 3,
  heartbeatMs: 10_000,
  /** Health report interval when nothing changes. */
  reportMs: 10_000,
  /** Silent for this long = offline: two heartbeats and a grace. */
  presenceLeaseMs: 25_000,
  reconnectMinMs: 1_000,
  reconnectMaxMs: 300_000,
  outboxEvents: 1_000,
  /** A post-mortem as JSON text. */
  postMortemBytes: 32 * 1024,
  /** Post-mortems that the server keeps of a device; the oldest go first. */
  postMortemsKept: 100,
} as const;
