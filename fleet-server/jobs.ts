import { CronJob } from 'cron';

/** Starts `run` at a cron time (with seconds, UTC); the result stops it. Runs of one job never overlap. */
export function schedule(
  time: string,
  run: () => Promise<void>,
  onError: (error: unknown) => void,
): () => void {
  const job = CronJob.from({
    cronTime: time,
    timeZone: 'UTC',
    waitForCompletion: true,
    onTick: () => run().catch(onError),
    start: true,
  });
  return () => void job.stop();
}
