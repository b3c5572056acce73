import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import { sendNotFound } from './problem-json.ts';

const SECURITY = {
  'content-security-policy':
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
  'x-frame-options': 'DENY',
};

/** The built UI, with index.html for every address that is a page of it. */
// oxlint-disable-next-line typescript/no-explicit-any
export async function serveWeb(app: FastifyInstance<any, any, any, any, any>, folder: string): Promise<void> {
  await app.register(fastifyStatic, {
    root: folder,
    setHeaders: (reply, path) => {
      for (const [name, value] of Object.entries(SECURITY)) reply.header(name, value);
      // Vite names assets by their content.
      const isHashed = path.includes('/assets/');
      reply.header('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache');
    },
  });
  app.setNotFoundHandler((request, reply) => {
    const isPage = request.method === 'GET' && request.headers.accept?.includes('text/html');
    if (isPage && !request.url.startsWith('/api/')) return reply.sendFile('index.html');
    return sendNotFound(request, reply);
  });
}
