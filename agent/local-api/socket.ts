import { readFileSync } from 'node:fs';
import { chmod, chown, lstat, mkdir, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';

/** Linux: sun_path is 108 bytes with its terminating zero; libuv would cut a longer one silently. */
const SOCKET_PATH_BYTES = 107;

class LocalSocketError extends Error {
  readonly code: 'socket-in-use' | 'socket-path';
  constructor(code: LocalSocketError['code'], message: string) {
    super(message);
    this.name = 'LocalSocketError';
    this.code = code;
  }
}

/**
 * Binds the server to a unix socket of mode 0660 that belongs to root and, where it exists, the group. What a killed
 * agent left at the path is replaced; a live agent's socket is refused. Throws LocalSocketError.
 */
export async function listenOnSocket(server: Server, path: string, group: Group): Promise<void> {
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES) {
    const fault = `the path has ${Buffer.byteLength(path)} bytes; wanted at most ${SOCKET_PATH_BYTES}`;
    throw new LocalSocketError('socket-path', `Cannot listen on ${path}: ${fault}`);
  }
  const made = await mkdir(dirname(path), { recursive: true });
  // Whatever the agent's umask is, callers must be able to pass the folder.
  if (made) await chmod(dirname(path), 0o755);
  await clearStale(path);
  await bind(server, path);
  const gid = groupId(group);
  if (gid !== undefined) await chown(path, -1, gid);
}

/** `file` is in the format of group(5). */
export interface Group {
  name: string;
  file: string;
}

async function clearStale(path: string): Promise<void> {
  const entry = await lstat(path).catch(() => undefined);
  if (!entry) return;
  if (!entry.isSocket()) {
    throw new LocalSocketError(
      'socket-path',
      `Cannot listen on ${path}: something that is not a socket is there; move it or choose another path`,
    );
  }
  if (await isAnswering(path)) {
    throw new LocalSocketError(
      'socket-in-use',
      `Cannot listen on ${path}: an agent answers there already; stop it or choose another path`,
    );
  }
  await unlink(path);
}

function isAnswering(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    // EAGAIN: somebody listens, but their backlog is full.
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EAGAIN'));
  });
}

/** Node binds a unix socket before `listen` returns, so the mask covers just that call: the socket is never wider. */
function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const mask = process.umask(0o117);
    try {
      server.listen({ path, backlog: 64 }, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(mask);
    }
  });
}

function groupId({ name, file }: Group): number | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
  const entry = text.split('\n').find((line) => line.startsWith(`${name}:`));
  const gid = Number(entry?.split(':')[2] || Number.NaN);
  return Number.isInteger(gid) ? gid : undefined;
}
