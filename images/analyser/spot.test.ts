import { expect, test } from 'vitest';
import { drawFrame, FRAME_BYTES, spotAt } from '../sensor/frames.js';
import { warmSpot } from './spot.js';

test('the analyser finds the spot where the sensor drew it, in every frame of a round', () => {
  const pixels = new Uint8Array(FRAME_BYTES);
  for (const number of [0, 1, 59, 120, 239, 240, 1_000_003]) {
    drawFrame(pixels, number);
    expect(warmSpot(pixels)).toMatchObject(spotAt(number));
  }
});

test('two frames after each other are not the same picture, and a dark one has no spot', () => {
  const [one, other] = [new Uint8Array(FRAME_BYTES), new Uint8Array(FRAME_BYTES)];
  drawFrame(one, 5);
  drawFrame(other, 6);
  expect(Buffer.compare(one, other)).not.toBe(0);
  expect(warmSpot(new Uint8Array(64).fill(99))).toBeUndefined();
});
