import { LIMITS } from './limits.ts';

/** Goes to a partition, so it is a whole number of sectors. */
const blob = (maximum: number) =>
  ({
    type: 'object',
    additionalProperties: false,
    required: ['verity', 'size'],
    properties: {
      /** fs-verity digest (SHA-256, 4 KiB blocks, no salt), hex. The blob's name everywhere. */
      verity: { type: 'string', pattern: '^[0-9a-f]{64}$', description: '64 hex digits' },
      /** In bytes. */
      size: { type: 'integer', minimum: 4096, maximum, multipleOf: 512 },
    },
  }) as const;

/** `system` of a manifest: by board, what one of its two slots is to hold. */
export const manifestSystemSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['version', 'boards'],
  properties: {
    version: { type: 'string', pattern: '^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$' },
    boards: {
      type: 'object',
      propertyNames: { pattern: '^[a-z][a-z0-9-]{0,62}$' },
      minProperties: 1,
      maxProperties: 64,
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['boot', 'root'],
        properties: {
          /** Image of the slot's boot partition: FAT with kernel, initramfs, device trees. */
          boot: blob(LIMITS.bootBytes),
          /** The read-only root filesystem: EROFS. */
          root: blob(LIMITS.blobBytes),
        },
      },
    },
  },
} as const;

/** What a schema cannot say of a manifest's system. */
export const systemFaults = (
  { boards }: { boards: Record<string, unknown> },
  wanted: readonly string[],
): string[] =>
  Object.keys(boards)
    .filter((board) => !wanted.includes(board))
    .map(
      (board) =>
        `system.boards.${board}: the release is not for this board; wanted one of ${wanted.join(', ')}`,
    );
