import { existsSync } from 'node:fs';
import { Redis } from '../redis/client.js';
import { summarise } from './rolling.js';

const EVERY_MS = Number(process.env.SUMMARY_MS ?? 5000);
/** Samples looked at: a minute at one a second. */
const WINDOW = Number(process.env.WINDOW ?? 60);

const redis = new Redis(process.env.REDIS_SOCKET ?? '/run/bus/redis.sock');
// The second version of the image has one file more.
const { trend } = existsSync(new URL('trend.js', import.meta.url)) ? await import('./trend.js') : {};

async function analyse() {
  let lines;
  try {
    lines = await redis.command('LRANGE', 'samples', 0, WINDOW - 1);
  } catch (error) {
    console.log(JSON.stringify({ at: Date.now(), event: 'redis is away', error: error.message }));
    return;
  }
  // LPUSH puts the newest first.
  const samples = lines.map((line) => JSON.parse(line)).reverse();
  const cpu = samples.map((sample) => sample.cpuPercent);
  const used = samples.map((sample) => sample.usedMiB);
  console.log(
    JSON.stringify({
      at: Date.now(),
      cpuPercent: summarise(cpu),
      usedMiB: summarise(used),
      ...(trend && { trend: { cpuPercent: trend(cpu), usedMiB: trend(used) } }),
    }),
  );
}

const timer = setInterval(() => void analyse(), EVERY_MS);
for (const signal of ['SIGTERM', 'SIGINT'])
  process.on(signal, () => {
    clearInterval(timer);
    process.exit(0);
  });
