// `npm start`: set-up, then the demo (demo/main.ts) with the arguments given.
import { main, runOnNode, setUp } from './setup.mjs';

await main(async () => {
  const isEmulated = process.argv.some((word) => word.startsWith('--board'));
  await setUp(['agent', 'release', 'images', ...(isEmulated ? ['board'] : [])]);
  return runOnNode(['demo/main.ts', ...process.argv.slice(2)]);
});
