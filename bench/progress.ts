/** Says on stderr what takes its time, and how long it took. */
export async function told<T>(step: string, act: () => Promise<T> | T): Promise<T> {
  process.stderr.write(`${step} …\n`);
  const startedAt = performance.now();
  const result = await act();
  process.stderr.write(`${step}: ${((performance.now() - startedAt) / 1000).toFixed(0)} s\n`);
  return result;
}
