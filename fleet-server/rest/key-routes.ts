import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { audit } from '../store/audit.ts';
import type { RestOptions } from './app.ts';

/** Keys that the server signs with; none of them can make a release. */
export function keyRoutes(app: FastifyInstance, { publish, rotateFleetKey, now }: RestOptions): void {
  app.post(
    '/fleet-key/rotations',
    { schema: { summary: 'Replace the key that signs assignments', response: { 204: Type.Null() } } },
    async ({ who }, reply) => {
      await audit(publish.db, { at: now(), who: who.name, action: 'fleet-key.rotate', subject: 'fleet' });
      await rotateFleetKey();
      return reply.code(204).send();
    },
  );
}
