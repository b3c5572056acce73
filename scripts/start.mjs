// `npm start`: set-up, then the demo (demo/main.ts) with the arguments given.
import { main, runOnNode, setUp } from './setup.mjs';

await main(async () => {
  await setUp(['agent', 'release', 'images']);
  return runOnNode(['demo/main.ts', ...process.argv.slice(2)]);
});
