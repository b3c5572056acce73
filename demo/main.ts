// The main job on an embedded default: a fleet server and one device on this machine. `npm start` comes here.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { NODE_FLAGS } from '../fleet-server/node-flags.ts';
import { buildImages } from '../images/build.ts';
import { buildAgent, buildWeb } from '../scripts/build.ts';
import { main, NODE, ROOT, SetupError } from '../scripts/setup.mjs';
import { boardDevice } from './board-device.ts';
import type { DemoDevice } from './device.ts';
import { hostDevice } from './host-device.ts';
import { type Layout, layoutOf } from './layout.ts';
import { type DemoOptions, HELP, readOptions, UsageError } from './options.ts';
import { preflight, release } from './preflight.ts';
import { Part } from './processes.ts';
import { adminPassword, BOARDS_DIR, IMAGES_DIR, sampleReleases, signerKeys } from './provision.ts';
import { ServerClient } from './server-client.ts';

const RESTART_PAUSE_MS = 1_000;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function startServer(
  options: DemoOptions,
  layout: Layout,
  client: ServerClient,
  parts: Part[],
  { serverHost }: DemoDevice,
): Promise<void> {
  const { port } = options;
  const flags = {
    data: layout.server.dataDir,
    port,
    'device-port': port + 1,
    'mqtt-port': port + 2,
    'public-host': serverHost,
    boards: BOARDS_DIR,
    web: join(ROOT, 'fleet-server/web/dist'),
  };
  const args: [string, ...string[]] = [
    NODE,
    ...NODE_FLAGS,
    'fleet-server/main.ts',
    ...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)]),
  ];
  say('Starting the fleet server');
  const part = new Part('fleet server', args, layout.server.log);
  parts.push(part);
  await part.untilReady('an answer', 30_000, () => client.isUp());
}

async function startDevice(
  device: DemoDevice,
  client: ServerClient,
  parts: Part[],
): Promise<{ part: Part; id: string }> {
  const part = device.start();
  say(`Starting the ${part.name}`);
  parts.push(part);
  const found = await part.untilReady('enrolment', device.upTimeoutMs, async () =>
    (await client.devices()).find((candidate) => candidate.id.startsWith(device.name) && candidate.isOnline),
  );
  return { part, id: found.id };
}

/** Gives a device that was never assigned anything release 1.0.0, and waits until the device has settled. */
async function settle(
  part: Part,
  id: string,
  client: ServerClient,
  { upTimeoutMs }: DemoDevice,
): Promise<void> {
  const { desired } = await client.device(id);
  if (!desired) {
    const first = (await client.releases()).find(
      (candidate) => candidate.name === 'demo' && candidate.version === '1.0.0',
    );
    if (!first) throw new SetupError('Cannot roll out demo 1.0.0: the server does not list it');
    say(`Rolling out demo 1.0.0 to ${id} over MQTT`);
    await client.startRollout(first.id, [id]);
  }
  let shown = '';
  await part.untilReady('the first release', 120_000 + upTimeoutMs, async () => {
    const { report, desired } = await client.device(id);
    const { phase, reason } = report?.update ?? {};
    const line = `  ${phase ?? 'waiting'}${report?.update.progress ? ` ${Math.round((100 * report.update.progress.doneBytes) / Math.max(1, report.update.progress.totalBytes))} %` : ''}`;
    if (phase && line !== shown) say((shown = line));
    if (phase === 'refused' || phase === 'rolled_back')
      throw new SetupError(`Cannot bring up the release: ${reason?.message ?? phase}`);
    const isSettled =
      report?.current?.generation === desired?.generation &&
      !['switching', 'soaking'].includes(phase ?? '') &&
      report?.services.every(({ state, usage }) => state === 'running' && usage);
    return isSettled || undefined;
  });
}

function showNext(client: ServerClient, layout: Layout, id: string, { next }: DemoDevice): void {
  say(`
  Web UI    ${client.url}
  Sign in   admin / ${adminPassword(layout)}

Try next:
  - open the web UI, choose release demo 2.0.0 and deploy it to ${id}: only one layer travels, only one service restarts
${next.map((line) => `  ${line}`).join('\n')}
Ctrl-C stops everything and leaves nothing behind; ${layout.server.dataDir.replace(/\/server$/, '')} keeps the state for the next start.`);
}

/** Everything up to the running first release. Parts are listed as they start, so that a stop half-way finds them. */
async function bringUp(
  options: DemoOptions,
  layout: Layout,
  client: ServerClient,
  parts: Part[],
  device: DemoDevice,
): Promise<void> {
  await buildImages({ outDir: IMAGES_DIR, platforms: ['linux/amd64', 'linux/arm64'], onProgress: say });
  await buildAgent(say);
  await buildWeb(say);
  await startServer(options, layout, client, parts, device);
  await client.signIn('admin', adminPassword(layout));
  await signerKeys(layout, client, say);
  await sampleReleases(layout, client, say);
  await device.prepare(client);
  const { part, id } = await startDevice(device, client, parts);
  await settle(part, id, client, device);
  say('');
  await device.show(await client.device(id));
  showNext(client, layout, id, device);
}

/** Resolves with the first signal that asks for the end. */
function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve(signal));
  });
}

async function stopAll(parts: Part[], device: DemoDevice, { dataDir }: DemoOptions): Promise<string[]> {
  if (parts.length > 0) say('\nStopping the device and the server');
  for (const part of parts.toReversed()) await part.stop(45_000);
  release(dataDir);
  return device.leftovers();
}

/**
 * Starts a dead agent again, as an init system does on a device: its services run on meanwhile. Resolves when the
 * server has ended, which nothing on this machine would mend.
 */
async function watchOver(parts: Part[], stopping: AbortSignal): Promise<Part> {
  for (;;) {
    const dead = await Promise.race(parts.map((part) => part.ended.then(() => part)));
    if (stopping.aborted || dead !== parts[1]) return dead;
    say(`The ${dead.name} died; starting it again`);
    await new Promise((resolve) => setTimeout(resolve, RESTART_PAUSE_MS));
    if (stopping.aborted) return dead;
    dead.restart();
  }
}

/** Runs until a signal, or until the server dies. Exit code 0 only when all went well and nothing is left behind. */
async function runDemo(options: DemoOptions): Promise<number> {
  const signalled = untilSignal();
  const layout = layoutOf(options);
  const { board, instance } = options;
  const device = board === undefined ? hostDevice(layout, instance) : boardDevice(layout, board);
  await preflight(options);
  for (const dir of [layout.server.dataDir, layout.signer.releases, layout.board.dir])
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  const parts: Part[] = [];
  const stopping = new AbortController();
  let code = 0;
  try {
    const client = new ServerClient(`http://127.0.0.1:${options.port}`);
    const up = bringUp(options, layout, client, parts, device).then(() => watchOver(parts, stopping.signal));
    const ended = await Promise.race([signalled, up]);
    if (typeof ended !== 'string') {
      process.stderr.write(`The ${ended.name} ended by itself; see ${ended.logFile}\n`);
      code = 1;
    }
  } finally {
    stopping.abort();
    const left = await stopAll(parts, device, options);
    if (left.length > 0) {
      process.stderr.write(`Left behind, please report this:\n  ${left.join('\n  ')}\n`);
      code = 1;
    }
  }
  return code;
}

await main(async () => {
  try {
    const options = readOptions(process.argv.slice(2));
    if (options !== 'help') return await runDemo(options);
    process.stdout.write(HELP);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
});
// A build that a signal cut short may still be under way: nothing of it is needed any more.
process.exit();
