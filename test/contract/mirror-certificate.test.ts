// A mirror over HTTPS is believed by whom its certificate is from: the roots that Node brings and those of
// NODE_EXTRA_CA_CERTS, in a process that is started as bin/wherry-agent starts the agent.
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { agentFlags } from '../../bench/agent-flags.ts';
import { ROOT } from '../../scripts/setup.mjs';

const dir = mkdtempSync(join(tmpdir(), 'wherry-mirror-'));
const CONTENT = 'what the mirror has';
const READ = `
  import { HttpSource } from '${ROOT}/agent/update/sources/http-source.ts';
  const source = new HttpSource({ base: process.argv[1] });
  try {
    console.log(String(await source.read('object', 1000, new AbortController().signal)));
  } catch (error) {
    console.log('refused: ' + error.message);
  }
  process.exit();
`;
let server: Server;

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
}

const fileOf = (name: string): Buffer => readFileSync(join(dir, name));

beforeAll(async () => {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=root', '-days', '2');
  openssl(
    'req',
    ...key,
    '-keyout',
    'mirror.key',
    '-out',
    'mirror.csr',
    '-subj',
    '/CN=localhost',
    '-addext',
    'subjectAltName=DNS:localhost',
  );
  openssl(
    'x509',
    '-req',
    '-in',
    'mirror.csr',
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-days',
    '2',
    '-copy_extensions',
    'copy',
    '-out',
    'mirror.pem',
  );
  server = createServer({ key: fileOf('mirror.key'), cert: fileOf('mirror.pem') }, (_, answer) =>
    answer.end(CONTENT),
  );
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

/** What a process gets that is started as the agent is. */
async function read(more: Record<string, string>): Promise<string> {
  const { NODE_EXTRA_CA_CERTS: _, ...inherited } = process.env;
  const base = `https://localhost:${(server.address() as AddressInfo).port}`;
  const quiet = { SSL_CERT_FILE: '/dev/null', SSL_CERT_DIR: '/dev/null' };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...agentFlags(), '--input-type=module-typescript', '--eval', READ, base],
    { env: { ...inherited, ...quiet, ...more } },
  );
  return stdout.trim();
}

test('a mirror whose root the device was given is read', async () => {
  expect(await read({ NODE_EXTRA_CA_CERTS: join(dir, 'ca.pem') })).toBe(CONTENT);
});

test('a mirror whose root nobody knows is refused', async () => {
  expect(await read({})).toMatch(/^refused: .*(?:self-signed|unable to verify|issuer)/);
});
