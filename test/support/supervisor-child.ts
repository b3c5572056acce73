// Runs a supervisor until it is killed: node supervisor-child.ts <options.json>
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DesiredServices } from '../../agent/supervisor/service-spec.ts';
import { Cuts } from './cuts.ts';
import { realSupervisor } from './real-supervisor.ts';
import { until } from './until.ts';

export interface SupervisorChildOptions {
  dir: string;
  instance: string;
  blobDir: string;
  desired: DesiredServices;
  isWhole?: boolean;
  /** At which of its effects it kills itself, counted from 1; `<dir>/cut` then holds which that was. */
  cutAt?: number;
  /** It goes on until this event, beyond what is desired. */
  untilEvent?: string;
  /** In the end it takes everything down. */
  takesDown?: boolean;
}

const [path = ''] = process.argv.slice(2);
const options = JSON.parse(readFileSync(path, 'utf8')) as SupervisorChildOptions;
const {
  dir,
  instance,
  blobDir,
  desired,
  isWhole = false,
  cutAt = 0,
  untilEvent,
  takesDown = false,
} = options;
const cuts = new Cuts(cutAt, join(dir, 'cut'));
const { supervisor, events } = realSupervisor(dir, instance, blobDir, {
  isWhole,
  through: (name, port) => cuts.through(name, port),
});
supervisor.start();
supervisor.apply(desired);
await until(
  () =>
    supervisor.health().isConverged &&
    supervisor.statuses().length === desired.services.length &&
    (untilEvent === undefined || events.some(({ code }) => code === untilEvent)),
  { timeoutMs: 120_000, what: 'the services to be as desired' },
);
if (takesDown) await supervisor.stop({ services: 'stop' });
writeFileSync(join(dir, 'cut'), '');
process.stdout.write(`${JSON.stringify(supervisor.statuses())}\n`);
