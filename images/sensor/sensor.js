import { readdirSync, readFileSync } from 'node:fs';
import { openPublisher } from 'wherry-ipc';
import { Redis } from '../redis/client.js';
import { drawFrame, FRAME_BYTES } from './frames.js';
import { cpuPercent, cpuTimes, memory } from './samples.js';

const EVERY_MS = Number(process.env.SAMPLE_MS ?? 1000);
const FRAME_MS = Number(process.env.FRAME_MS ?? 250);
/** Samples kept in redis, for an analyser that begins anew: ten minutes at one a second. */
const KEEP = 600;
/** One sample in so many is printed too. */
const PRINT_EACH = Number(process.env.PRINT_EACH ?? 10);

const readings = openPublisher('readings');
const frames = openPublisher('frames');
const redis = new Redis({ host: process.env.REDIS_HOST ?? 'redis' });
const THERMAL = '/sys/class/thermal';
let before = cpuTimes(readFileSync('/proc/stat', 'utf8'));
let count = 0;
let wasAway = false;
let wasFull = false;

/** Zone name to degrees Celsius; a machine without sensors, or a zone that cannot be read, gives none. */
function temperatures() {
  const found = {};
  try {
    for (const zone of readdirSync(THERMAL).filter((name) => name.startsWith('thermal_zone'))) {
      const text = readFileSync(`${THERMAL}/${zone}/temp`, 'utf8');
      found[zone] = Number(text) / 1000;
    }
  } catch {
    return found;
  }
  return found;
}

/** A second later there is another reading: a subscriber that is too slow for this one is not waited for. */
function tell(line) {
  const isFull = !readings.publish(line);
  if (isFull !== wasFull)
    console.log(JSON.stringify({ at: Date.now(), event: isFull ? 'readings are dropped' : 'readings flow' }));
  wasFull = isFull;
}

/** Drawn in the ring itself. The channel counts frames over all starts of the sensor, so the spot goes on. */
function frame() {
  const number = frames.stats().published;
  frames.write(FRAME_BYTES, (slot) => drawFrame(slot, number));
}

async function sample() {
  const after = cpuTimes(readFileSync('/proc/stat', 'utf8'));
  const cpu = cpuPercent(before, after);
  before = after;
  const line = JSON.stringify({
    at: Date.now(),
    cpuPercent: cpu,
    ...memory(readFileSync('/proc/meminfo', 'utf8')),
    celsius: temperatures(),
  });
  if (count++ % PRINT_EACH === 0) console.log(line);
  tell(line);
  try {
    await redis.command('LPUSH', 'samples', line);
    await redis.command('LTRIM', 'samples', 0, KEEP - 1);
    if (wasAway) console.log(JSON.stringify({ at: Date.now(), event: 'redis is back' }));
    wasAway = false;
  } catch (error) {
    if (!wasAway)
      console.log(JSON.stringify({ at: Date.now(), event: 'redis is away', error: error.message }));
    wasAway = true;
  }
}

const timers = [setInterval(() => void sample(), EVERY_MS), setInterval(frame, FRAME_MS)];
for (const signal of ['SIGTERM', 'SIGINT'])
  process.on(signal, () => {
    for (const timer of timers) clearInterval(timer);
    process.exit(0);
  });
