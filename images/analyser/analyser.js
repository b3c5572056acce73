import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { Redis } from '../redis/client.js';
import { summarise } from './rolling.js';

const EVERY_MS = Number(process.env.SUMMARY_MS ?? 5000);
/** Samples looked at: a minute at one a second. */
const WINDOW = Number(process.env.WINDOW ?? 60);
const HEALTH_PORT = Number(process.env.HEALTH_PORT ?? 8080);
/** Without an answer from redis for longer than this it is of no use. */
const PATIENCE_MS = 3 * EVERY_MS;

const redis = new Redis({ host: process.env.REDIS_HOST ?? 'redis' });
let answeredAt = -Infinity;
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
  answeredAt = Date.now();
  if (lines.length === 0) return;
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

createServer((request, response) => {
  const isWell = Date.now() - answeredAt < PATIENCE_MS;
  response.writeHead(request.url !== '/health' ? 404 : isWell ? 200 : 503).end();
}).listen(HEALTH_PORT);

void analyse();
const timer = setInterval(() => void analyse(), EVERY_MS);
for (const signal of ['SIGTERM', 'SIGINT'])
  process.on(signal, () => {
    clearInterval(timer);
    process.exit(0);
  });
