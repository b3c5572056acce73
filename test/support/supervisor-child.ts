// Runs a supervisor until it is killed: node supervisor-child.ts <dir> <instance> <blobDir>; desired.json lies in <dir>.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DesiredServices } from '../../agent/supervisor/service-spec.ts';
import { realSupervisor } from './real-supervisor.ts';
import { until } from './until.ts';

const [dir = '', instance = '', blobDir = ''] = process.argv.slice(2);
const { supervisor } = realSupervisor(dir, instance, blobDir);
supervisor.start();
supervisor.apply(JSON.parse(readFileSync(join(dir, 'desired.json'), 'utf8')) as DesiredServices);
await until(() => supervisor.health().isConverged, { what: 'the services to run' });
process.stdout.write(`${JSON.stringify(supervisor.statuses())}\n`);
