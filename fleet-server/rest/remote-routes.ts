import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import type { Answer } from '../../protocol/remote.ts';
import { ProblemError } from '../problems.ts';
import type { Wish } from '../remote/remote.ts';
import type { RemoteCall } from '../remote/remote-call.ts';
import { audit } from '../store/audit.ts';
import { LogsQuery, RebootDevice, RunProgram, Taken, TypeIn, WhyAnswer } from './api.ts';
import type { RestOptions } from './app.ts';
import { sendBundle, sendEvents } from './remote-stream.ts';

const DeviceId = Type.Object({ id: Type.String({ maxLength: 63 }) });
const ServiceOf = Type.Object({ ...DeviceId.properties, service: Type.String({ maxLength: 64 }) });
const SessionOf = Type.Object({ ...DeviceId.properties, session: Type.String({ maxLength: 32 }) });
type ById = { Params: Static<typeof DeviceId> };
type ByService = { Params: Static<typeof ServiceOf> };

/** Programs that run, by session: only who began one types to it. */
type Terminals = Map<string, { call: RemoteCall; who: string; device: string }>;

/** What a device tells and does while somebody looks on. Each is audited before the device hears of it. */
export function remoteRoutes(app: FastifyInstance, options: RestOptions): void {
  const terminals: Terminals = new Map();
  readRoutes(app, options);
  actRoutes(app, options);
  execRoutes(app, options, terminals);
}

function readRoutes(app: FastifyInstance, options: RestOptions): void {
  app.get<ByService>(
    '/devices/:id/services/:service/why',
    {
      schema: {
        summary: 'Why a service is as it is, by the device itself',
        params: ServiceOf,
        response: { 200: WhyAnswer },
      },
    },
    async (request, reply) => {
      const { service } = request.params;
      const { call, first } = await ask(options, request, reply, { action: 'why', service });
      call.leave();
      return first.why;
    },
  );
  app.get<ByService & { Querystring: Static<typeof LogsQuery> }>(
    '/devices/:id/services/:service/logs',
    {
      schema: {
        summary: 'The end of its log, and what comes, as lines of JSON',
        params: ServiceOf,
        querystring: LogsQuery,
        produces: ['application/x-ndjson'],
      },
    },
    async (request, reply) => {
      const { params, query } = request;
      const wish: Wish = { action: 'logs', service: params.service, logs: query };
      const { call } = await ask(options, request, reply, wish);
      await sendEvents(reply, call);
      await ended(options, request, wish, call);
    },
  );
}

function actRoutes(app: FastifyInstance, options: RestOptions): void {
  app.post<ByService>(
    '/devices/:id/services/:service/restart',
    {
      config: { role: 'operator' },
      schema: { summary: 'Restart a service', params: ServiceOf, response: { 202: Taken } },
    },
    async (request, reply) => {
      const { service } = request.params;
      await ask(options, request, reply, { action: 'restart', service });
      return reply.code(202).send({ result: 'accepted' });
    },
  );
  app.post<ById & { Body: Static<typeof RebootDevice> }>(
    '/devices/:id/reboot',
    {
      schema: {
        summary: 'Reboot the device',
        params: DeviceId,
        body: RebootDevice,
        response: { 202: Taken },
      },
    },
    async (request, reply) => {
      const { params, body } = request;
      if (body.confirm !== params.id)
        throw new ProblemError(
          'remote.not-confirmed',
          `Cannot reboot device "${params.id}": "confirm" is "${body.confirm}"; wanted the id of the device`,
        );
      await ask(options, request, reply, { action: 'reboot' });
      return reply.code(202).send({ result: 'accepted' });
    },
  );
  app.post<ById>(
    '/devices/:id/support-bundle',
    {
      config: { role: 'operator' },
      schema: {
        summary: 'Have a support bundle made, and download it',
        params: DeviceId,
        produces: ['application/octet-stream'],
      },
    },
    async (request, reply) => {
      const wish: Wish = { action: 'bundle' };
      const { call } = await ask(options, request, reply, wish);
      await sendBundle(reply, call, request.params.id, options.now());
      await ended(options, request, wish, call);
    },
  );
}

function execRoutes(app: FastifyInstance, options: RestOptions, terminals: Terminals): void {
  app.post<ByService & { Body: Static<typeof RunProgram> }>(
    '/devices/:id/services/:service/exec',
    {
      config: { role: 'admin' },
      schema: {
        summary: 'Run a program in a service’s container; what it writes, as lines of JSON',
        params: ServiceOf,
        body: RunProgram,
        produces: ['application/x-ndjson'],
      },
    },
    async (request, reply) => {
      const { params, body, who } = request;
      const wish: Wish = { action: 'exec', service: params.service, exec: body };
      const { call } = await ask(options, request, reply, wish);
      terminals.set(call.id, { call, who: who.name, device: params.id });
      try {
        await sendEvents(reply, call);
      } finally {
        terminals.delete(call.id);
      }
      await ended(options, request, wish, call);
    },
  );
  app.post<{ Params: Static<typeof SessionOf>; Body: Static<typeof TypeIn> }>(
    '/devices/:id/exec/:session/input',
    {
      config: { role: 'admin' },
      schema: {
        summary: 'Type to a program that runs',
        params: SessionOf,
        body: TypeIn,
        response: { 204: Type.Null() },
      },
    },
    ({ params, body, who }, reply) => {
      const found = terminals.get(params.session);
      if (!found || found.device !== params.id || found.who !== who.name)
        throw new ProblemError(
          'remote.session-unknown',
          'Cannot type: no program of yours runs in this session; it has ended, or its page was closed',
        );
      const { input, ...rest } = body;
      found.call.send({
        ...rest,
        ...(input !== undefined && { input: Buffer.from(input).toString('base64') }),
      });
      return reply.code(204).send();
    },
  );
}

/** Ends with the connection of whoever asks. */
async function ask(
  { devices, remote, db, now }: RestOptions,
  request: FastifyRequest<ById>,
  reply: FastifyReply,
  wish: Wish,
): Promise<{ call: RemoteCall; first: Answer }> {
  const { id } = request.params;
  if (!(await devices.summary(id))) throw new ProblemError('device.unknown', `There is no device "${id}"`);
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  const { signal } = gone;
  const by = request.who.name;
  const record = () =>
    audit(db, { at: now(), who: by, action: `device.${wish.action}`, subject: id, detail: detailOf(wish) });
  const answered = await remote.ask(id, { by, wish, record, signal });
  signal.addEventListener('abort', () => answered.call.leave());
  if (signal.aborted) answered.call.leave();
  return answered;
}

/** How long it was looked on, and how it ended. */
async function ended(
  { db, now }: RestOptions,
  { params, who }: FastifyRequest<ById>,
  wish: Wish,
  { end }: RemoteCall,
): Promise<void> {
  const exit = end?.exitCode === undefined ? '' : `, exit code ${end.exitCode}`;
  await audit(db, {
    at: now(),
    who: who.name,
    action: `device.${wish.action}-end`,
    subject: params.id,
    detail: `${detailOf(wish)}: ${end?.code ?? 'lost'}${exit}`,
  });
}

const detailOf = ({ service, exec }: Wish): string =>
  [service, exec && JSON.stringify(exec.argv)].filter((part) => part !== undefined).join(' ');
