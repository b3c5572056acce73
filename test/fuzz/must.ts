/** For properties, in which a claim often holds for one outcome only. */
export function must(isSo: boolean, otherwise: string): void {
  if (!isSo) throw new Error(otherwise);
}
