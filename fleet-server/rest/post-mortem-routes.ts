import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import { ProblemError } from '../problems.ts';
import { DevicePostMortem, DevicePostMortems } from './api.ts';
import type { RestOptions } from './app.ts';

const DeviceId = Type.Object({ id: Type.String({ maxLength: 63 }) });
const CapsuleId = Type.Object({ ...DeviceId.properties, postMortem: Type.String({ maxLength: 80 }) });

export function postMortemRoutes(app: FastifyInstance, { devices, postMortems }: RestOptions): void {
  app.get<{ Params: Static<typeof DeviceId> }>(
    '/devices/:id/postmortems',
    {
      schema: {
        summary: 'What its services died of, newest first',
        params: DeviceId,
        response: { 200: DevicePostMortems },
      },
    },
    async ({ params }) => {
      if (!(await devices.summary(params.id)))
        throw new ProblemError('device.unknown', `There is no device "${params.id}"`);
      return postMortems.list(params.id);
    },
  );
  app.get<{ Params: Static<typeof CapsuleId> }>(
    '/devices/:id/postmortems/:postMortem',
    { schema: { summary: 'One post-mortem', params: CapsuleId, response: { 200: DevicePostMortem } } },
    async ({ params }) => {
      const found = await postMortems.read(params.id, params.postMortem);
      if (found) return found;
      throw new ProblemError(
        'post-mortem.unknown',
        `There is no post-mortem "${params.postMortem}" of device "${params.id}": the last ones of a device are kept`,
      );
    },
  );
}
