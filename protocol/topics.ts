/**
 * The one module that builds and parses MQTT topics.
 *
 *   up/{shard}/{tenant}/{device}/{channel}   device → server
 *   dn/{tenant}/{device}/{channel}           server → device
 *
 * Every level matches `[A-Za-z0-9_-]+`: the common subset of the brokers in the MQTT profile.
 */
export const UP_CHANNELS = [
  'hello',
  'report',
  'event',
  'postmortem',
  'time',
  'abilities',
  'get',
  'answer',
  'probe',
] as const;
export const DOWN_CHANNELS = ['desired', 'ack', 'time', 'ask', 'more', 'data', 'fault'] as const;
export type UpChannel = (typeof UP_CHANNELS)[number];
export type DownChannel = (typeof DOWN_CHANNELS)[number];

export interface UpTopic {
  tenant: string;
  device: string;
  channel: UpChannel;
}

const SHARDS = 64;
const LEVEL = /^[A-Za-z0-9_-]+$/;
/** A device id: a DNS label, so it is also a certificate CN, a client id and a topic level. */
export const DEVICE_ID = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Stable shard of a device, "00".."63": FNV-1a (32 bit) of its id modulo 64. */
export function shardOf(device: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(device)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return String(hash % SHARDS).padStart(2, '0');
}

export function upTopic(tenant: string, device: string, channel: UpChannel): string {
  return `up/${shardOf(device)}/${tenant}/${device}/${channel}`;
}

export function downTopic(tenant: string, device: string, channel: DownChannel): string {
  return `dn/${tenant}/${device}/${channel}`;
}

/** Parses an `up/` topic; undefined when it is not one, or when its shard is not the device's. */
export function parseUpTopic(topic: string): UpTopic | undefined {
  const levels = topic.split('/');
  const [prefix, shard, tenant, device, channel] = levels;
  if (levels.length !== 5 || prefix !== 'up' || !tenant || !device) return undefined;
  if (!LEVEL.test(tenant) || !DEVICE_ID.test(device) || shard !== shardOf(device)) return undefined;
  const known = UP_CHANNELS.find((name) => name === channel);
  return known && { tenant, device, channel: known };
}

/**
 * MQTT client ids of a device. Control and bulk are two sessions so that control is never stuck behind data;
 * `_` cannot occur in a device id, so the pair is unambiguous.
 */
export const bulkClientId = (device: string): string => `${device}_bulk`;
/** A third, for a technician who asks whether the link works: it takes no session's place. */
export const doctorClientId = (device: string): string => `${device}_doctor`;
export function deviceOfClientId(clientId: string): string | undefined {
  const device = clientId.replace(/_(?:bulk|doctor)$/, '');
  return DEVICE_ID.test(device) ? device : undefined;
}
