// `npm test`: set-up, then every test. Ends with one line "N passed, N failed".
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
    const { numPassedTests, numFailedTests, numFailedTestSuites, numTotalTests } = JSON.parse(
      readFileSync(report, 'utf8'),
    );
    // A file that cannot even be loaded holds no failed test, yet it is a failure.
    const failed = Math.max(numFailedTests, numFailedTestSuites > 0 || code !== 0 ? 1 : 0);
    return { passed: numPassedTests, failed, total: numTotalTests };
  } catch {
    return { passed: 0, failed: 1, total: 0 };
  } finally {
    rmSync(report, { force: true });
  }
}

await main(async () => {
  await setUp(['agent', 'release', 'images', 'test', 'board']);
  const filters = process.argv.slice(2).filter((word) => !SUITES.includes(word));
  const chosen = SUITES.filter((name) => process.argv.includes(name));
  const checks = filters.length > 0 || chosen.length > 0 ? 0 : await runOnNode(['scripts/check.mjs']);
  let passed = checks === 0 ? 1 : 0;
  let failed = checks === 0 ? 0 : 1;
  for (const suite of chosen.length > 0 ? chosen : SUITES) {
    say(`\n== ${suite} tests`);
    const result = await runSuite(suite, filters);
    passed += result.passed;
    failed += result.failed;
  }
  say(`\n${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
});
