import { readFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { extname, join, normalize } from 'node:path';

const DIST = join(import.meta.dirname, '../../dist');
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

/** The built UI under the policy that the real server sends; an unknown path is a page of the client. */
export async function serveStatic(pathname: string, response: ServerResponse): Promise<void> {
  const isFile = extname(pathname) !== '';
  const file = isFile ? join(DIST, normalize(pathname)) : join(DIST, 'index.html');
  try {
    const content = await readFile(file);
    response.writeHead(200, {
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
      'content-security-policy':
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    });
    response.end(content);
  } catch {
    response.writeHead(404).end();
  }
}
