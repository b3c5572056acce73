import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import { ApiToken, CreateApiToken, Login, Session } from './api.ts';
import type { RestOptions } from './app.ts';

/** Signing in and out, and tokens for programs. */
export function sessionRoutes(app: FastifyInstance, { auth }: RestOptions): void {
  const identified = async (request: Parameters<typeof auth.identify>[0]) => {
    request.who = await auth.identify(request);
  };

  app.post<{ Body: Static<typeof Login> }>(
    '/session',
    { schema: { summary: 'Sign in', body: Login, response: { 200: Session } } },
    (request, reply) => auth.login(request, reply, request.body),
  );
  app.get(
    '/session',
    { onRequest: identified, schema: { summary: 'Who is signed in', response: { 200: Session } } },
    (request) => request.who,
  );
  app.delete(
    '/session',
    { onRequest: identified, schema: { summary: 'Sign out', response: { 204: Type.Null() } } },
    async (request, reply) => {
      await auth.logout(request, reply);
      return reply.code(204).send();
    },
  );
  app.post<{ Body: Static<typeof CreateApiToken> }>(
    '/api-tokens',
    {
      onRequest: identified,
      schema: { summary: 'Make a token for a program', body: CreateApiToken, response: { 201: ApiToken } },
    },
    async (request, reply) => {
      const token = await auth.createApiToken(request.who.name, request.body.note);
      return reply.code(201).send(token);
    },
  );
}
