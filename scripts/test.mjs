// `npm test`: set-up, then every test. Ends with one line "N passed, N failed".
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { main, ROOT, runOnNode, say, setUp } from './setup.mjs';

const SUITES = ['unit', 'contract', 'integration', 'e2e', 'board'];

async function runSuite(name, filters) {
  const report = join(tmpdir(), `wherry-test-${process.pid}-${name}.json`);
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const code = await runOnNode([
    vitest,
    'run',
    '--project',
    name,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    '--passWithNoTests',
    ...filters,
  ]);
  try {
    const result = JSON.parse(readFileSync(report, 'utf8'));
    // A file that cannot even be loaded holds no failed test, yet it is a failure.
    const ended = result.numFailedTestSuites > 0 || code !== 0 ? 1 : 0;
    return {
      passed: result.numPassedTests,
      failed: Math.max(result.numFailedTests, ended),
      why: result.testResults.filter((file) => file.status === 'failed').flatMap(failuresOf),
    };
  } catch (error) {
    return { passed: 0, failed: 1, why: [`the ${name} tests left no report: ${error.message}`] };
  } finally {
    rmSync(report, { force: true });
  }
}

const told = (text) => text.split('\n').slice(0, 6).join('\n    ');

/** A line or a few for each failed test of a file: they stand at the end of a long run, where they are looked for. */
function failuresOf(file) {
  const name = relative(ROOT, file.name);
  const failed = file.assertionResults.filter((test) => test.status === 'failed');
  if (failed.length === 0)
    return [`${name}\n    ${told(file.message || 'ended with an error outside its tests')}`];
  return failed.map((test) => `${name}: ${test.fullName}\n    ${told(test.failureMessages.join('\n'))}`);
}

await main(async () => {
  await setUp(['agent', 'release', 'images', 'test', 'board']);
  const filters = process.argv.slice(2).filter((word) => !SUITES.includes(word));
  const chosen = SUITES.filter((name) => process.argv.includes(name));
  const checks = filters.length > 0 || chosen.length > 0 ? 0 : await runOnNode(['scripts/check.mjs']);
  let passed = checks === 0 ? 1 : 0;
  let failed = checks === 0 ? 0 : 1;
  const why = checks === 0 ? [] : ['the checks of types, lint, format and unused code'];
  for (const suite of chosen.length > 0 ? chosen : SUITES) {
    say(`\n== ${suite} tests`);
    const result = await runSuite(suite, filters);
    passed += result.passed;
    failed += result.failed;
    why.push(...result.why);
  }
  for (const text of why) say(`\nFAILED ${text}`);
  say(`\n${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
});
