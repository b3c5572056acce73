import { defineConfig } from 'vitest/config';

/** CommonJS packages look as they do to Node itself: no default export is unwrapped. */
const deps = { interopDefault: false } as const;
const shared = { pool: 'forks', maxWorkers: 2, deps } as const;

/** Boards that are booted for long: by hand, with WHERRY_BOARD=all. All of it would take `npm test` beyond an hour. */
const longBoards = process.env['WHERRY_BOARD'] === 'all' ? [] : ['test/board/*.long.test.ts'];

/**
 * unit: pure and quick, beside their source. The others need root and Linux and use the real parts, one file at a
 * time: they share the kernel's cgroups, mounts and loop devices. board: inside emulated ARM boards, two at a time.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...shared,
          name: 'unit',
          // Beside other work on two slow cores, what takes a second may take ten.
          testTimeout: 30_000,
          include: [
            '{agent,fleet-server,protocol,release,images,boards,scripts,demo}/**/*.test.{ts,tsx}',
            'test/{docs,tuf}/*.test.ts',
          ],
          exclude: ['**/node_modules/**', '**/dist/**', '**/.build/**'],
        },
      },
      {
        test: {
          ...shared,
          name: 'contract',
          include: ['test/{contract,fuzz}/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          ...shared,
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
      {
        test: {
          ...shared,
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 240_000,
          hookTimeout: 400_000,
        },
      },
      {
        test: {
          ...shared,
          name: 'board',
          include: ['test/board/**/*.test.ts'],
          exclude: longBoards,
          // Side by side: half of what an emulated board does is to wait for its watchdog.
          globalSetup: ['test/board/build.ts'],
          testTimeout: 300_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
