// Starts or removes one service and is killed by SIGKILL at a chosen point on the way:
// node runtime-child.ts <options.json>
import { readFileSync, writeFileSync } from 'node:fs';
import { ConmonRuntime } from '../../agent/supervisor/runtime/conmon.ts';
import type { RuntimeConfig } from '../../agent/supervisor/runtime/runtime-program.ts';
import type { ServiceSpec } from '../../agent/supervisor/service-spec.ts';

export interface RuntimeChildOptions {
  instance: string;
  runDir: string;
  logsDir: string;
  rootfs: string;
  cgroupsPath: string;
  hasSwapAccounting: boolean;
  runtimes: Record<string, RuntimeConfig>;
  spec: ServiceSpec;
  action: 'start' | 'remove';
  /** Where it dies; the runtime of the options may kill it elsewhere. */
  dieAt?: 'bundle' | 'waiting' | 'created' | 'verify' | 'started' | undefined;
}

const [path = ''] = process.argv.slice(2);
const options = JSON.parse(readFileSync(path, 'utf8')) as RuntimeChildOptions;
writeFileSync(`${path}.pid`, `${process.pid}`);
const dieIf = (point: RuntimeChildOptions['dieAt']): void => {
  if (options.dieAt === point) process.kill(process.pid, 'SIGKILL');
};
const runtime = new ConmonRuntime({
  runtime: 'any',
  runtimes: options.runtimes,
  instance: options.instance,
  runDir: options.runDir,
  logsDir: options.logsDir,
  logMaxBytes: 1 << 18,
  cgroupsPath: () => options.cgroupsPath,
  volumePath: () => options.runDir,
  hasSwapAccounting: options.hasSwapAccounting,
  beforeStart: () => dieIf('bundle'),
  placementOf: async () => {
    dieIf('waiting');
    return {};
  },
  holdMonitor: async () => dieIf('created'),
});
if (options.action === 'remove') await runtime.remove(options.spec.name);
else await runtime.start(options.spec, { rootfs: options.rootfs }, async () => dieIf('verify'));
dieIf('started');
