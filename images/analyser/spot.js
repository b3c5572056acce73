/** The middle of all that is warm in a square picture of 8 bits a pixel; undefined where nothing is. Pure. */
export function warmSpot(pixels, threshold = 200) {
  const side = Math.sqrt(pixels.length);
  let [count, sumX, sumY] = [0, 0, 0];
  for (let at = 0; at < pixels.length; at++) {
    if (pixels[at] < threshold) continue;
    count++;
    sumX += at % side;
    sumY += Math.floor(at / side);
  }
  return count === 0
    ? undefined
    : { x: Math.round(sumX / count), y: Math.round(sumY / count), pixels: count };
}
