import { crc32 } from 'node:zlib';

const CRC_BYTES = 4;

/** A block of U-Boot's environment as `env import -c` reads it: CRC-32 (little-endian), "name=value\0"…, zeros. */
export function encodeEnvironment(variables: Readonly<Record<string, string>>, size: number): Buffer {
  const text = Object.entries(variables).map(([name, value]) => `${name}=${value}\0`);
  const data = Buffer.from(`${text.join('')}\0`);
  if (data.length > size - CRC_BYTES)
    throw new Error(
      `Cannot write the boot environment: it takes ${data.length + CRC_BYTES} bytes; ${size} are there`,
    );
  const block = Buffer.alloc(size);
  data.copy(block, CRC_BYTES);
  block.writeUInt32LE(crc32(block.subarray(CRC_BYTES)), 0);
  return block;
}

/** undefined: its CRC is wrong, as on a disk that nobody has written it to. */
export function decodeEnvironment(block: Buffer): Record<string, string> | undefined {
  const data = block.subarray(CRC_BYTES);
  if (block.length <= CRC_BYTES || block.readUInt32LE(0) !== crc32(data)) return undefined;
  const end = data.indexOf('\0\0');
  const text = data.subarray(0, end === -1 ? data.length : end).toString();
  return Object.fromEntries(
    text
      .split('\0')
      .filter((line) => line.includes('='))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}
