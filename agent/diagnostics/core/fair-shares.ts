/**
 * How many bytes each part may have of `total`: the small ones all of theirs, the others the same as each other. The sum
 * never exceeds `total`.
 */
export function fairShares(sizes: readonly number[], total: number): number[] {
  const shares = sizes.map(() => 0);
  let open = sizes.map((_, index) => index);
  let left = Math.max(0, total);
  while (open.length > 0) {
    const each = Math.floor(left / open.length);
    const fits = open.filter((index) => (sizes[index] ?? 0) <= each);
    for (const index of fits.length ? fits : open) {
      const share = fits.length ? (sizes[index] ?? 0) : each;
      shares[index] = share;
      left -= share;
    }
    if (fits.length === 0) break;
    open = open.filter((index) => !fits.includes(index));
  }
  return shares;
}
