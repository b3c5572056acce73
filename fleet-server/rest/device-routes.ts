import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import { createEnrolmentToken } from '../enrolment/tokens.ts';
import { ProblemError } from '../problems.ts';
import {
  CreateEnrolmentToken,
  DeviceDetail,
  DeviceEvents,
  DeviceMetrics,
  DeviceSummary,
  EnrolmentToken,
  Page,
} from './api.ts';
import type { RestOptions } from './app.ts';
import { PageQuery, pageOf } from './paging.ts';

const EVENTS = 200;
const DeviceId = Type.Object({ id: Type.String({ maxLength: 63 }) });
const Since = Type.Object({ minutes: Type.Integer({ minimum: 1, maximum: 2_880, default: 15 }) });
type ById = { Params: Static<typeof DeviceId> };

export function deviceRoutes(app: FastifyInstance, options: RestOptions): void {
  const { devices, metrics, now } = options;
  const known = async (id: string) => {
    const device = await devices.detail(id);
    if (!device) throw new ProblemError('device.unknown', `There is no device "${id}"`);
    return device;
  };

  app.get<{ Querystring: Static<typeof PageQuery> }>(
    '/devices',
    {
      schema: {
        summary: 'Devices by name',
        querystring: PageQuery,
        response: { 200: Page(DeviceSummary) },
      },
    },
    async ({ query: { limit, cursor } }) =>
      pageOf(await devices.list(limit + 1, cursor), limit, ({ id }) => id),
  );
  app.get<ById>(
    '/devices/:id',
    { schema: { summary: 'One device', params: DeviceId, response: { 200: DeviceDetail } } },
    ({ params }) => known(params.id),
  );
  app.get<ById>(
    '/devices/:id/events',
    {
      schema: { summary: 'What happened, newest first', params: DeviceId, response: { 200: DeviceEvents } },
    },
    async ({ params }) => {
      await known(params.id);
      return devices.events(params.id, EVENTS);
    },
  );
  app.get<ById & { Querystring: Static<typeof Since> }>(
    '/devices/:id/metrics',
    {
      schema: {
        summary: 'Use of its services over time',
        params: DeviceId,
        querystring: Since,
        response: { 200: DeviceMetrics },
      },
    },
    async ({ params, query }) => {
      await known(params.id);
      return metrics.read(params.id, now() - query.minutes * 60_000);
    },
  );
  app.put<ById>(
    '/devices/:id/pin',
    {
      schema: { summary: 'Keep it at its release', params: DeviceId, response: { 200: DeviceDetail } },
    },
    async ({ params, who }) => {
      await options.pins.pin(params.id, who.name);
      return known(params.id);
    },
  );
  app.delete<ById>(
    '/devices/:id/pin',
    {
      schema: { summary: 'Let rollouts move it again', params: DeviceId, response: { 200: DeviceDetail } },
    },
    async ({ params, who }) => {
      await options.pins.unpin(params.id, who.name);
      return known(params.id);
    },
  );
  app.post<{ Body: Static<typeof CreateEnrolmentToken> }>(
    '/enrolment-tokens',
    {
      schema: {
        summary: 'Let devices join',
        body: CreateEnrolmentToken,
        response: { 201: EnrolmentToken },
      },
    },
    async ({ body, who }, reply) => {
      const context = { who: who.name, now: now() };
      const { token, expiresAt } = await createEnrolmentToken(options.publish.db, body, context);
      return reply.code(201).send({ joinString: options.joinString(token), expiresAt });
    },
  );
}
