import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { Redis } from './client.js';

const servers: Server[] = [];
const sockets = new Set<Socket>();
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

/** A server that treats each piece it gets as one command. */
async function serve(answer: (socket: Socket, text: string) => void): Promise<number> {
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('data', (data) => answer(socket, String(data)));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as { port: number }).port;
}

test('a command goes out as bulk strings and its reply comes back, in however many pieces', async () => {
  const seen: string[] = [];
  const port = await serve((socket, text) => {
    seen.push(text);
    socket.write('*2\r\n$3\r\none\r\n$5\r\nt');
    setImmediate(() => socket.write('wo..\r\n'));
  });
  const redis = new Redis({ host: '127.0.0.1', port });
  expect(await redis.command('LRANGE', 'samples', 0, 1)).toEqual(['one', 'two..']);
  expect(seen).toEqual(['*4\r\n$6\r\nLRANGE\r\n$7\r\nsamples\r\n$1\r\n0\r\n$1\r\n1\r\n']);
});

test('an error reply rejects', async () => {
  const port = await serve((socket) => socket.write('-ERR unknown command\r\n'));
  await expect(new Redis({ host: '127.0.0.1', port }).command('NO')).rejects.toThrow('ERR unknown command');
});

test('a redis that goes away rejects what waits, and the next command connects anew', async () => {
  let isFirst = true;
  const port = await serve((socket) => {
    if (isFirst) socket.destroy();
    else socket.write('+PONG\r\n');
    isFirst = false;
  });
  const redis = new Redis({ host: '127.0.0.1', port });
  await expect(redis.command('PING')).rejects.toThrow('redis closed the connection');
  expect(await redis.command('PING')).toBe('PONG');
});

test('a redis that says nothing is away too', async () => {
  const port = await serve(() => {});
  const redis = new Redis({ host: '127.0.0.1', port, answerMs: 50 });
  await expect(redis.command('PING')).rejects.toThrow('redis does not answer');
});
