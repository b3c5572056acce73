/** Plays a scenario on a disk, under the shim: `child.ts SCENARIO DISK`. Ends with 0 when every step came to its end. */
import { readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize } from 'node:v8';
import { openDevice } from './device.ts';
import type { Mark } from './marks.ts';
import { begin, contentsOf, StepSource, settled } from './play.ts';
import type { Scenario } from './story.ts';

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
  scenario,
  source,
  onMark: mark,
});
await device.start();
for (const [index, step] of scenario.steps.entries()) {
  mark({ type: 'step', step: index });
  await begin(step, device, source, disk);
  const { leases, holds, secrets } = device.agent;
  mark({ type: 'leases', holders: leases.held(Date.now()).map(({ holder }) => holder) });
  mark({ type: 'holds', services: [...holds.inForce().keys()] });
  mark({ type: 'secrets', contents: await contentsOf(secrets) });
  const { phase, version } = step;
  await settled(device, { phases: [phase], version }, stateDir, step.stallsAfter !== undefined);
}
await device.stop();
