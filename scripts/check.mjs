// Static checks, in parallel: types, layer rules, format, unused code. Part of `npm run ok` and of `npm test`.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { NODE, ROOT, say } from './setup.mjs';

const CHECKS = {
  types: [join(ROOT, 'node_modules/.bin/tsc'), '-p', '.'],
  'types (web)': [join(ROOT, 'node_modules/.bin/tsc'), '-p', 'fleet-server/web'],
  lint: [join(ROOT, 'node_modules/.bin/oxlint')],
  format: [join(ROOT, 'node_modules/.bin/biome'), 'check', '.'],
  unused: [join(ROOT, 'node_modules/.bin/knip')],
};

function check(name, args) {
  return new Promise((resolve) => {
    const child = spawn(NODE, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
    child.on('close', (code) => {
      say(`${code === 0 ? 'ok  ' : 'FAIL'} ${name}`);
      if (code !== 0) say(output.trim());
      resolve(code === 0);
    });
  });
}

const results = [];
for (const [name, args] of Object.entries(CHECKS)) results.push(await check(name, args));
process.exitCode = results.every(Boolean) ? 0 : 1;
