import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { openSubscriber } from 'wherry-ipc';
import { Redis } from '../redis/client.js';
import { Intake, recent } from './recent.js';
import { summarise } from './rolling.js';
import { warmSpot } from './spot.js';

const EVERY_MS = Number(process.env.SUMMARY_MS ?? 5000);
/** Samples looked at: a minute at one a second. */
const WINDOW = Number(process.env.WINDOW ?? 60);
/** Summaries kept in redis: an hour at one each five seconds. */
const KEEP = 720;
const HEALTH_PORT = Number(process.env.HEALTH_PORT ?? 8080);
/** With nothing from redis or from a channel for longer than this it is of no use. */
const PATIENCE_MS = 3 * EVERY_MS;

const redis = new Redis({ host: process.env.REDIS_HOST ?? 'redis' });
const readings = { channel: openSubscriber('readings'), intake: new Intake() };
const frames = { channel: openSubscriber('frames'), intake: new Intake() };
const stored = new Intake();
let samples = [];
let isFilled = false;
let spot;
// The second version of the image has one file more.
const { trend } = existsSync(new URL('trend.js', import.meta.url)) ? await import('./trend.js') : {};

/** The memory of a message is used again for the next: frames are large. */
async function follow({ channel, intake }, use) {
  for await (const batch of channel.batches({ reuse: true }))
    for (const message of batch) {
      intake.count(message, Date.now());
      use(message.data);
    }
}

/** Before its first summary an analyser takes what the sensor has kept of the last minute. */
async function fill() {
  const lines = await redis.command('LRANGE', 'samples', 0, WINDOW - 1);
  samples = recent(
    samples,
    lines.map((line) => JSON.parse(line)),
    WINDOW,
  );
  isFilled = true;
}

function summary() {
  const cpu = samples.map((sample) => sample.cpuPercent);
  const used = samples.map((sample) => sample.usedMiB);
  return JSON.stringify({
    at: Date.now(),
    cpuPercent: summarise(cpu),
    usedMiB: summarise(used),
    ...(trend && { trend: { cpuPercent: trend(cpu), usedMiB: trend(used) } }),
    readings: readings.intake,
    frames: { ...frames.intake, spot },
  });
}

async function analyse() {
  try {
    if (!isFilled) await fill();
    if (samples.length > 0) {
      const line = summary();
      console.log(line);
      await redis.command('LPUSH', 'summaries', line);
    }
    await redis.command('LTRIM', 'summaries', 0, KEEP - 1);
    stored.count({ lost: 0 }, Date.now());
  } catch (error) {
    console.log(JSON.stringify({ at: Date.now(), event: 'redis is away', error: error.message }));
  }
}

createServer((request, response) => {
  const sources = { redis: stored, readings: readings.intake, frames: frames.intake };
  const state = Object.entries(sources).map(([name, intake]) => [
    name,
    { received: intake.received, isFresh: intake.isFresh(Date.now(), PATIENCE_MS) },
  ]);
  const isWell = state.every(([, { isFresh }]) => isFresh);
  response.writeHead(request.url !== '/health' ? 404 : isWell ? 200 : 503);
  response.end(JSON.stringify(Object.fromEntries(state)));
}).listen(HEALTH_PORT);

void follow(readings, (data) => {
  samples = recent(samples, [JSON.parse(data.toString())], WINDOW);
});
void follow(frames, (data) => {
  spot = warmSpot(data);
});
void analyse();
const timer = setInterval(() => void analyse(), EVERY_MS);
for (const signal of ['SIGTERM', 'SIGINT'])
  process.on(signal, () => {
    clearInterval(timer);
    process.exit(0);
  });
