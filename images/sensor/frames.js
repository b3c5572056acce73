/** A raw picture, 8 bits of brightness a pixel: dark noise, and one warm spot that goes round once in 240 frames. Pure. */
export const SIDE = 1024;
export const FRAME_BYTES = SIDE * SIDE;
const ROUND = 240;
const ORBIT = 384;
const RADIUS = 10;
const NOISE_MAX = 63;
const WARM = 255;

/** More than a frame, so that each begins elsewhere in it. xorshift32: the same on every machine. */
const NOISE = new Uint8Array(FRAME_BYTES + SIDE);
for (let at = 0, word = 0x9e3779b9; at < NOISE.length; at++) {
  word ^= word << 13;
  word ^= word >>> 17;
  word ^= word << 5;
  NOISE[at] = word & NOISE_MAX;
}

/** Where the middle of the spot is in the frame of this number. */
export function spotAt(number) {
  const angle = (2 * Math.PI * (number % ROUND)) / ROUND;
  return {
    x: Math.round(SIDE / 2 + ORBIT * Math.cos(angle)),
    y: Math.round(SIDE / 2 + ORBIT * Math.sin(angle)),
  };
}

/** Draws the frame of this number into FRAME_BYTES of memory. */
export function drawFrame(pixels, number) {
  const from = (number * 37) % SIDE;
  pixels.set(NOISE.subarray(from, from + FRAME_BYTES));
  const { x, y } = spotAt(number);
  for (let row = -RADIUS; row <= RADIUS; row++) {
    const half = Math.floor(Math.sqrt(RADIUS ** 2 - row ** 2));
    const middle = (y + row) * SIDE + x;
    pixels.fill(WARM, middle - half, middle + half + 1);
  }
}
