// The files of a channel as the agent makes them (docs/channels.md), on a tmpfs of the machine: for tests and benchmarks
// of the library that run without an agent.
import { closeSync, ftruncateSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ACK_BYTES } from '../../protocol/channels.ts';

export interface ChannelSpec {
  name: string;
  publishers: string[];
  subscribers: string[];
  slotSize: number;
  depth: number;
  mode?: 'lossy' | 'latest' | 'reliable';
  blockTimeoutMs?: number;
}

const META_SIZE = 8192;
const RING_HEADER = 256;
const PUBLISHERS_AT = 192;
const SUBSCRIBERS_AT = 2240;
const ENTRY = 128;
const MODES = ['lossy', 'latest', 'reliable'];

/** CRC-32C, Castagnoli, reflected. */
function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0x82f63b78 & -(crc & 1));
  }
  return ~crc >>> 0;
}

const strideOf = (spec: ChannelSpec): number => 64 + Math.ceil(spec.slotSize / 64) * 64;
const ringSizeOf = (spec: ChannelSpec): number => RING_HEADER + spec.depth * strideOf(spec);

let lastId = 0;

function metaOf(spec: ChannelSpec, channelId: number): Buffer {
  const meta = Buffer.alloc(META_SIZE);
  meta.write('WIPM', 0, 'latin1');
  meta.writeUInt16LE(1, 4);
  const mode = MODES.indexOf(spec.mode ?? 'lossy');
  const words = [META_SIZE, channelId, spec.slotSize, strideOf(spec), spec.depth, mode];
  words.push(spec.publishers.length, spec.subscribers.length);
  words.forEach((word, index) => void meta.writeUInt32LE(word, 8 + 4 * index));
  meta.writeBigUInt64LE(BigInt(ringSizeOf(spec)), 40);
  meta.writeBigUInt64LE(BigInt(Date.now()) * 1_000_000n, 48);
  meta.writeUInt32LE(spec.blockTimeoutMs ?? 200, 56);
  meta.writeUInt32LE(crc32c(meta.subarray(0, 60)), 60);
  meta.write(spec.name, 64);
  spec.publishers.forEach((name, index) => {
    meta.write(name, PUBLISHERS_AT + ENTRY * index);
    meta.writeUInt32LE(1, PUBLISHERS_AT + ENTRY * index + 64);
  });
  spec.subscribers.forEach((name, index) => {
    meta.write(name, SUBSCRIBERS_AT + ENTRY * index);
    meta.writeUInt32LE(1, SUBSCRIBERS_AT + ENTRY * index + 64);
  });
  return meta;
}

function ringHeaderOf(spec: ChannelSpec, channelId: number): Buffer {
  const header = Buffer.alloc(RING_HEADER);
  header.write('WIPC', 0, 'latin1');
  header.writeUInt16LE(1, 4);
  [RING_HEADER, strideOf(spec), spec.slotSize, spec.depth, 0, channelId].forEach(
    (word, index) => void header.writeUInt32LE(word, 8 + 4 * index),
  );
  header.writeBigUInt64LE(BigInt(ringSizeOf(spec)), 32);
  header.writeUInt32LE(crc32c(header.subarray(0, 48)), 48);
  return header;
}

function writeFile(path: string, content: Buffer, size: number): void {
  const fd = openSync(path, 'w+');
  try {
    ftruncateSync(fd, size);
    writeSync(fd, content, 0, content.length, 0);
  } finally {
    closeSync(fd);
  }
}

/** Makes the folder of a channel below `dir`; gives its path. */
export function makeChannel(dir: string, spec: ChannelSpec): string {
  const folder = join(dir, spec.name);
  const channelId = ++lastId;
  mkdirSync(folder);
  writeFile(join(folder, 'meta'), metaOf(spec, channelId), META_SIZE);
  for (const name of spec.publishers)
    writeFile(join(folder, `ring.${name}`), ringHeaderOf(spec, channelId), ringSizeOf(spec));
  for (const name of spec.subscribers)
    writeFile(join(folder, `ack.${name}`), Buffer.alloc(0), ACK_BYTES * spec.publishers.length);
  return folder;
}

/** Sets `evicted` of a subscriber as the agent does. */
export function setEvicted(folder: string, subscriber: number, isEvicted: boolean): void {
  const fd = openSync(join(folder, 'meta'), 'r+');
  try {
    writeSync(fd, Buffer.from([Number(isEvicted), 0, 0, 0]), 0, 4, SUBSCRIBERS_AT + ENTRY * subscriber + 68);
  } finally {
    closeSync(fd);
  }
}
