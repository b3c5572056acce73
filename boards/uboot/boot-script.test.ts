import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { loadImageConfig } from '../image-config.ts';
import { bootScript } from './boot-script.ts';

const config = await loadImageConfig(join(import.meta.dirname, '../../board-configs'), 'qemu-virt');

test('the script has a header whose sums are right, and no name is left unfilled', async () => {
  const image = await bootScript(config.bootloader);
  const header = Buffer.from(image.subarray(0, 64));
  const said = header.readUInt32BE(4);
  header.writeUInt32BE(0, 4);
  expect(said).toBe(crc32(header));
  expect(header.readUInt32BE(24)).toBe(crc32(image.subarray(64)));
  expect(header.readUInt32BE(12)).toBe(image.length - 64);
  const text = image.subarray(72).toString();
  expect(image.readUInt32BE(64)).toBe(text.length);
  expect(text).toContain('${devtype} read 0x48000000 400 1');
  expect(text).not.toMatch(/@|undefined/);
});
