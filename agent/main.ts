// The agent's process: configuration, log, signals. `agent.ts` builds the rest.
import { parseArgs } from 'node:util';
import { pino, stdSerializers } from 'pino';
import { startAgent } from './agent.ts';
import { loadConfig } from './config.ts';

const EXIT_FAILED = 1;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { config: { type: 'string', default: '/etc/wherry/agent.json' } },
  });
  const config = loadConfig(values.config);
  const log = pino(
    { level: config.logLevel, base: null, serializers: { error: stdSerializers.err } },
    pino.destination({ dest: 1, sync: true }),
  );
  const agent = await startAgent(config, log);
  log.info({ pid: process.pid }, 'The agent is up');
  let isStopping = false;
  const stop = (why: string): void => {
    if (isStopping) return;
    isStopping = true;
    log.info(`Stopping: ${why}`);
    agent.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ error }, 'Cannot stop cleanly');
        process.exit(EXIT_FAILED);
      },
    );
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop(signal));
  // A parent that opened an IPC channel and is gone cannot send a signal any more.
  process.on('disconnect', () => stop('the parent process is gone'));
}

main().catch((error: unknown) => {
  process.stderr.write(`wherry-agent: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(EXIT_FAILED);
});
