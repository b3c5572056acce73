import { expect, test } from 'vitest';
import { runtimeFault } from './runtime-fault.ts';

const runc = (said: string): string =>
  `time="2026-11-22T02:32:55Z" level=error msg="exec failed: unable to start container process: ${said}"\n`;

test.each([
  ['executable file `nosuch` not found in $PATH: No such file or directory\n', 127],
  ['open executable: Operation not permitted\n', 126],
  ['cannot chdir to `/no`: No such file or directory\n', 126],
  [runc('exec: \\"nosuch\\": executable file not found in $PATH'), 127],
  [runc('exec: \\"/no\\": stat /no: no such file or directory'), 127],
  [runc('exec: \\"/tmp\\": permission denied'), 126],
  [runc('chdir to cwd (\\"/no\\") set in config.json failed: no such file or directory'), 126],
])('%s', (log, exitCode) => {
  expect(runtimeFault(log)?.exitCode).toBe(exitCode);
});

test('the runtime’s words lose what it says each time, and what could drive a terminal', () => {
  expect(runtimeFault(runc('exec: \\"/tmp\\": permission \u001bdenied'))?.words).toBe(
    '"/tmp": permission denied',
  );
});

test('a log that holds nothing is no fault', () => {
  expect(runtimeFault('\n')).toBeUndefined();
});
