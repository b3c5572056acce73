// The main job on an embedded default: a fleet server and one device on this machine. `npm start` comes here.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { runCli } from '../agent/cli/main.ts';
import { NODE_FLAGS } from '../fleet-server/node-flags.ts';
import { buildImages } from '../images/build.ts';
import { buildAgent, buildWeb } from '../scripts/build.ts';
import { main, NODE, ROOT, SetupError } from '../scripts/setup.mjs';
import { type Layout, layoutOf } from './layout.ts';
import { leftovers } from './leftovers.ts';
import { type DemoOptions, HELP, readOptions, UsageError } from './options.ts';
import { preflight, release } from './preflight.ts';
import { Part } from './processes.ts';
import {
  adminPassword,
  BOARDS_DIR,
  DEVICE_NAME,
  deviceConfig,
  IMAGES_DIR,
  sampleReleases,
  signerKeys,
} from './provision.ts';
import { ServerClient } from './server-client.ts';

const RESTART_PAUSE_MS = 1_000;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function startServer(
  options: DemoOptions,
  layout: Layout,
  client: ServerClient,
  parts: Part[],
): Promise<void> {
  const { port } = options;
  const flags = {
    data: layout.server.dataDir,
    port,
    'device-port': port + 1,
    'mqtt-port': port + 2,
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
  layout: Layout,
  client: ServerClient,
  parts: Part[],
): Promise<{ part: Part; id: string }> {
  say('Starting the device agent');
  const part = new Part(
    'device agent',
    [join(ROOT, 'bin/wherry-agent'), '--config', layout.device.config],
    layout.device.log,
  );
  parts.push(part);
  const device = await part.untilReady('enrolment', 60_000, async () =>
    (await client.devices()).find((candidate) => candidate.id.startsWith(DEVICE_NAME) && candidate.isOnline),
  );
  return { part, id: device.id };
}

/** Gives a device that was never assigned anything release 1.0.0, and waits until the device has settled. */
async function settle(part: Part, id: string, client: ServerClient): Promise<void> {
  const device = await client.device(id);
  if (!device.desired) {
    const first = (await client.releases()).find(
      (candidate) => candidate.name === 'demo' && candidate.version === '1.0.0',
    );
    if (!first) throw new SetupError('Cannot roll out demo 1.0.0: the server does not list it');
    say(`Rolling out demo 1.0.0 to ${id} over MQTT`);
    await client.startRollout(first.id, [id]);
  }
  let shown = '';
  await part.untilReady('the first release', 180_000, async () => {
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

async function showDevice(socket: string): Promise<void> {
  const io = {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    isTTY: process.stdout.isTTY === true,
    signal: AbortSignal.timeout(10_000),
  };
  say('');
  await runCli(['ps', '--socket', socket], io);
  say('');
  await runCli(['ipc', 'ls', '--socket', socket], io);
}

function showNext(client: ServerClient, layout: Layout, id: string): void {
  say(`
  Web UI    ${client.url}
  Sign in   admin / ${adminPassword(layout)}

Try next:
  - open the web UI, choose release demo 2.0.0 and deploy it to ${id}: only one layer travels, only one service restarts
  - export WHERRY_SOCKET=${layout.device.socket}
    bin/wherry status          what the device runs and why
    bin/wherry logs -f analyser
    bin/wherry ipc top         what passes between the services through shared memory; ipc tap readings: the messages
    bin/wherry why analyser    why it waited, started, is held back
    bin/wherry inspect redis   its budget as asked and as the kernel holds it, its network, its isolation
  - kill the agent (pkill -9 -f dist/agent/main.js): its services run on, the next agent takes them over
Ctrl-C stops everything and leaves nothing behind; ${layout.server.dataDir.replace(/\/server$/, '')} keeps the state for the next start.`);
}

/** Everything up to the running first release. Parts are listed as they start, so that a stop half-way finds them. */
async function bringUp(
  options: DemoOptions,
  layout: Layout,
  client: ServerClient,
  parts: Part[],
): Promise<void> {
  await buildImages({ outDir: IMAGES_DIR, platforms: ['linux/amd64', 'linux/arm64'], onProgress: say });
  await buildAgent(say);
  await buildWeb(say);
  await startServer(options, layout, client, parts);
  await client.signIn('admin', adminPassword(layout));
  await signerKeys(layout, client, say);
  await sampleReleases(layout, client, say);
  await deviceConfig(layout, options.instance, client);
  const { part, id } = await startDevice(layout, client, parts);
  await settle(part, id, client);
  await showDevice(layout.device.socket);
  showNext(client, layout, id);
}

/** Resolves with the first signal that asks for the end. */
function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve(signal));
  });
}

async function stopAll(parts: Part[], layout: Layout, { instance, dataDir }: DemoOptions): Promise<string[]> {
  if (parts.length > 0) say('\nStopping the device and the server');
  for (const part of parts.toReversed()) await part.stop(45_000);
  release(dataDir);
  return leftovers(layout, instance);
}

/**
 * Starts a dead agent again, as an init system does on a device: its services run on meanwhile. Resolves when the
 * server has ended, which nothing on this machine would mend.
 */
async function watchOver(parts: Part[], stopping: AbortSignal): Promise<Part> {
  for (;;) {
    const dead = await Promise.race(parts.map((part) => part.ended.then(() => part)));
    if (stopping.aborted || dead !== parts[1]) return dead;
    say('The device agent died; starting it again');
    await new Promise((resolve) => setTimeout(resolve, RESTART_PAUSE_MS));
    if (stopping.aborted) return dead;
    dead.restart();
  }
}

/** Runs until a signal, or until the server dies. Exit code 0 only when all went well and nothing is left behind. */
async function runDemo(options: DemoOptions): Promise<number> {
  const signalled = untilSignal();
  const layout = layoutOf(options);
  await preflight(options);
  for (const dir of [layout.server.dataDir, layout.signer.releases])
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  const parts: Part[] = [];
  const stopping = new AbortController();
  let code = 0;
  try {
    const client = new ServerClient(`http://127.0.0.1:${options.port}`);
    const up = bringUp(options, layout, client, parts).then(() => watchOver(parts, stopping.signal));
    const ended = await Promise.race([signalled, up]);
    if (typeof ended !== 'string') {
      process.stderr.write(`The ${ended.name} ended by itself; see ${ended.logFile}\n`);
      code = 1;
    }
  } finally {
    stopping.abort();
    const left = await stopAll(parts, layout, options);
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
