import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import { ApiToken, CreateApiToken, Login, PutUser, Session, User } from './api.ts';
import type { RestOptions } from './app.ts';

const UserName = Type.Object({ name: Type.String({ pattern: '^[a-z0-9][a-z0-9._@-]{0,63}$' }) });

/** Signing in and out, users, and tokens for programs. */
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
      const token = await auth.createApiToken(request.who, request.body);
      return reply.code(201).send(token);
    },
  );
  app.put<{ Params: Static<typeof UserName>; Body: Static<typeof PutUser> }>(
    '/users/:name',
    {
      onRequest: async (request) => {
        await identified(request);
        auth.admit(request);
      },
      schema: {
        summary: 'Make a user, or give it another password and role',
        params: UserName,
        body: PutUser,
        response: { 200: User },
      },
    },
    async ({ who, params: { name }, body }) => {
      await auth.putUser(who, name, body);
      return { name, role: body.role };
    },
  );
}
