import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  bulkClientId,
  DEVICE_ID,
  deviceOfClientId,
  doctorClientId,
  parseUpTopic,
  shardOf,
  UP_CHANNELS,
  upTopic,
} from './topics.ts';

const device = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/);

test('a topic that was built parses back to what it was built from', () => {
  fc.assert(
    fc.property(device, fc.constantFrom(...UP_CHANNELS), (id, channel) => {
      expect(parseUpTopic(upTopic('default', id, channel))).toEqual({
        tenant: 'default',
        device: id,
        channel,
      });
    }),
  );
});

test.each([
  'up/00/default/pi/hello/extra',
  'up/99/default/pi/hello',
  `up/${shardOf('pi')}/default/pi/unknown`,
  `up/${shardOf('pi')}/default/+/hello`,
  `up/${shardOf('pi')}/default/PI/hello`,
  `dn/${shardOf('pi')}/default/pi/hello`,
  'up',
  '',
])('"%s" is not a topic a device may use', (topic) => {
  expect(parseUpTopic(topic)).toBeUndefined();
});

test('the bulk session belongs to the same device, and no device id can look like one', () => {
  fc.assert(
    fc.property(device, (id) => {
      expect(deviceOfClientId(bulkClientId(id))).toBe(id);
      expect(deviceOfClientId(doctorClientId(id))).toBe(id);
      expect(deviceOfClientId(id)).toBe(id);
      expect(DEVICE_ID.test(bulkClientId(id))).toBe(false);
    }),
  );
});
