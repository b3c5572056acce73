/** Plays a scenario on a disk, under the shim: `child.ts SCENARIO DISK`. Ends with 0 when every step came to its end. */
import { readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize } from 'node:v8';
import { type Mark, openDevice } from './device.ts';
import { begin, StepSource, settled } from './play.ts';
import type { Scenario } from './scenarios.ts';

const [file = '', disk = ''] = process.argv.slice(2);
const scenario = deserialize(readFileSync(file)) as Scenario;
const out = Number(process.env['CUT_OUT']);
const mark = (said: Mark): void => {
  // Through the pipe of the shim, so that it stands before the stops that come after it.
  writeSync(out, `M ${JSON.stringify(said)}\n`);
};

const source = new StepSource();
const stateDir = join(disk, 'state');
const device = await openDevice({
  stateDir,
  factoryRoot: join(file, '..', 'factory-root.json'),
  fleetKey: scenario.fleetKey,
  source,
  onMark: mark,
});
device.engine.start();
for (const [index, step] of scenario.steps.entries()) {
  mark({ type: 'step', step: index });
  await begin(step, device, source, disk);
  mark({ type: 'leases', holders: device.leases.held(Date.now()).map(({ holder }) => holder) });
  const { phase, version } = step;
  await settled(device, { phases: [phase], version }, stateDir, step.stallsAfter !== undefined);
}
await device.stop();
