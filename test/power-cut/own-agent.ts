import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256Hex } from '../../protocol/canonical.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import type { TestRepository } from '../support/test-repository.ts';

const SUMS = 'sums.json';

/** What a release brings as its agent: a tree that says of itself whether it is whole. It is started by nobody. */
export async function ownAgent(
  repository: TestRepository,
  version: string,
): Promise<Pick<Manifest, 'agent' | 'policy'>> {
  const folder = mkdtempSync(join(tmpdir(), 'wherry-own-agent-'));
  try {
    const image = join(folder, 'agent.erofs');
    writeTree(join(folder, 'tree'), version);
    execFileSync('mkfs.erofs', ['--quiet', image, join(folder, 'tree')]);
    const content = readFileSync(image);
    const { verity, size } = await repository.layer(content.length, content);
    const layers = [{ verity, size, diffId: 'c'.repeat(64) }];
    const images = { 'linux/amd64': { manifestDigest: 'd'.repeat(64), layers } };
    return { agent: { version, images }, policy: { soakMs: 20 } };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function writeTree(folder: string, version: string): void {
  const files: Record<string, Buffer> = {
    'bin/wherry-agent': Buffer.from('#!/bin/sh\n'),
    'dist/agent/main.js': randomBytes(200_000),
    'package.json': Buffer.from(JSON.stringify({ version })),
  };
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  chmodSync(join(folder, 'bin/wherry-agent'), 0o755);
  const sums = Object.entries(files).map(([name, content]) => [name, sha256Hex(content)]);
  writeFileSync(join(folder, SUMS), JSON.stringify(Object.fromEntries(sums)));
}

/** Whether every byte of an agent is there; the one that the device came with always is. */
export function isWholeAgent(folder: string, id: string | undefined): boolean {
  if (id === undefined || id === 'shipped') return true;
  const tree = join(folder, id);
  if (!existsSync(join(tree, SUMS))) return false;
  const sums = JSON.parse(readFileSync(join(tree, SUMS), 'utf8')) as Record<string, string>;
  return Object.entries(sums).every(
    ([name, sum]) => existsSync(join(tree, name)) && sha256Hex(readFileSync(join(tree, name))) === sum,
  );
}
