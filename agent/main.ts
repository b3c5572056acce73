// The agent's process: configuration, log, signals. `agent.ts` builds the rest.
import { parseArgs } from 'node:util';
import { pino, stdSerializers } from 'pino';
import { startAgent } from './agent.ts';
import { loadConfig } from './config.ts';
import { ServiceManager, takeManager } from './service-manager/notify.ts';
import { systemClock } from './system-clock.ts';

const EXIT_FAILED = 1;
/** The supervisor looks at its services every 10 s, and a step of its may take long on a busy board. */
const LOOK_MS = 60_000;

const leave = (): void => process.exit(0);

/** A support bundle on standard output; no agent is started. The agent that runs calls for it in a process of its own. */
async function printBundle(configFile: string, maxBytes: string, who: string): Promise<void> {
  const { makeBundle } = await import('./diagnostics/bundle/make-bundle.ts');
  const { signal } = new AbortController();
  for await (const piece of makeBundle({ configFile, maxBytes: Number(maxBytes), who, signal }))
    await new Promise((resolve) => process.stdout.write(piece, resolve));
}

/** What a board's first partition says becomes the agent's configuration; no agent is started. */
async function setUpBoard(firmware: string): Promise<void> {
  // Done once in a board's life: an agent that runs does not hold it.
  const { firstBoot } = await import('./first-boot/first-boot.ts');
  const lines = await firstBoot({
    firmware,
    configDir: '/etc/wherry',
    boardFile: '/usr/lib/wherry/board.json',
    stateDir: '/var/lib/wherry',
  });
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}

async function main(): Promise<void> {
  // The MQTT package keeps a buffer of one or two bytes for each length of a packet it ever sent: out of Node's pool,
  // each would keep 64 KiB from being freed.
  Buffer.poolSize = 0;
  const managedBy = takeManager(process.env, process.pid);
  const { values } = parseArgs({
    options: {
      config: { type: 'string', default: '/etc/wherry/agent.json' },
      'first-boot': { type: 'string' },
      'support-bundle': { type: 'string' },
      by: { type: 'string', default: 'local' },
    },
  });
  if (values['support-bundle'] !== undefined)
    return printBundle(values.config, values['support-bundle'], values.by);
  const firmware = values['first-boot'];
  if (firmware !== undefined) return setUpBoard(firmware);
  const config = loadConfig(values.config);
  const log = pino(
    { level: config.logLevel, base: null, serializers: { error: stdSerializers.err } },
    pino.destination({ dest: 1, sync: true }),
  );
  // Node would print the line it came from as well, and the bundle has few and long ones.
  process.on('uncaughtException', (error) => {
    log.fatal({ error }, `Cannot go on: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(EXIT_FAILED);
  });
  const launchedAs = process.env['WHERRY_AGENT'];
  // What the agent starts is nobody's agent.
  delete process.env['WHERRY_AGENT'];
  let giveWay = leave;
  // At its start the agent has nothing in hand yet; a supervisor without a release would stop what runs.
  const agent = await startAgent(config, log, { as: launchedAs, onAgentSwitch: () => giveWay() });
  log.info({ pid: process.pid }, 'The agent is up');
  const manager =
    managedBy &&
    new ServiceManager({
      managedBy,
      clock: systemClock,
      log,
      summary: agent.summary,
      isAlive: () => systemClock.now() - agent.lastLookAt() < LOOK_MS,
    });
  let isStopping = false;
  const end = (why: string, how: () => Promise<void>): void => {
    if (isStopping) return;
    isStopping = true;
    log.info(`Stopping: ${why}`);
    void manager?.stopping();
    how().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ error }, 'Cannot stop cleanly');
        process.exit(EXIT_FAILED);
      },
    );
  };
  giveWay = () => end('another agent takes over', () => agent.giveWay());
  const stop = (why: string): void => end(why, () => agent.stop());
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop(signal));
  // A parent that opened an IPC channel and is gone cannot send a signal any more.
  process.on('disconnect', () => stop('the parent process is gone'));
  await manager?.ready();
}

main().catch((error: unknown) => {
  process.stderr.write(`wherry-agent: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(EXIT_FAILED);
});
