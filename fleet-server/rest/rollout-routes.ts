import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import { updateSizes } from '../deltas/update-sizes.ts';
import { ProblemError } from '../problems.ts';
import { rolloutView } from '../rollouts/view.ts';
import { checkWindows } from '../rollouts/windows.ts';
import {
  AskUpdateSizes,
  CheckWindows,
  Page,
  Rollout,
  StartRollout,
  UpdateSizes,
  WindowsInWords,
} from './api.ts';
import type { RestOptions } from './app.ts';
import { PageQuery, pageOf } from './paging.ts';

const RolloutId = Type.Object({ id: Type.String({ maxLength: 36 }) });

export function rolloutRoutes(app: FastifyInstance, options: RestOptions): void {
  const { rollouts, stream, log } = options;
  const { db } = options.publish;
  const view = async (id: string) => {
    const row = await db.selectFrom('rollouts').selectAll().where('id', '=', id).executeTakeFirst();
    if (!row) throw new ProblemError('rollout.unknown', `There is no rollout ${id}`);
    return rolloutView(db, row);
  };

  // Devices that are away get it when they say hello.
  const tell = (devices: readonly string[]): void => {
    for (const device of devices)
      options
        .sendDesired(device)
        .catch((error: unknown) => log.error({ error, device }, 'cannot send desired'));
  };

  app.post<{ Body: StartRollout }>(
    '/rollouts',
    {
      schema: { summary: 'Give devices a release', body: StartRollout, response: { 201: Rollout } },
    },
    async ({ body, who }, reply) => {
      const id = await rollouts.start(body, who.name);
      tell(body.devices);
      return reply.code(201).send(await view(id));
    },
  );
  app.post<{ Body: AskUpdateSizes }>(
    '/update-sizes',
    {
      schema: {
        summary: 'What an update would send, before it is rolled out',
        body: AskUpdateSizes,
        response: { 200: UpdateSizes },
      },
    },
    ({ body }) => updateSizes({ db, deltas: options.deltas }, body),
  );
  app.get<{ Querystring: Static<typeof PageQuery> }>(
    '/rollouts',
    {
      schema: { summary: 'Rollouts, newest first', querystring: PageQuery, response: { 200: Page(Rollout) } },
    },
    async ({ query: { limit, cursor } }) => {
      let rows = db
        .selectFrom('rollouts')
        .selectAll()
        .orderBy('id', 'desc')
        .limit(limit + 1);
      if (cursor) rows = rows.where('id', '<', cursor);
      const { items, next } = pageOf(await rows.execute(), limit, ({ id }) => id);
      return { items: await Promise.all(items.map((row) => rolloutView(db, row))), next };
    },
  );
  app.get<{ Params: Static<typeof RolloutId> }>(
    '/rollouts/:id',
    { schema: { summary: 'One rollout', params: RolloutId, response: { 200: Rollout } } },
    ({ params }) => view(params.id),
  );
  app.post<{ Params: Static<typeof RolloutId> }>(
    '/rollouts/:id/urgent',
    {
      schema: {
        summary: 'Make a running rollout urgent for the devices that have not switched',
        params: RolloutId,
        response: { 200: Rollout },
      },
    },
    async ({ params, who }) => {
      tell(await rollouts.makeUrgent(params.id, who.name));
      return view(params.id);
    },
  );
  app.post<{ Body: CheckWindows }>(
    '/update-windows',
    {
      schema: {
        summary: 'Update windows in words, or what is wrong with them',
        body: CheckWindows,
        response: { 200: WindowsInWords },
      },
    },
    ({ body }) => ({ words: checkWindows(body.windows) }),
  );
  app.get('/stream', { schema: { summary: 'Server-sent events of every change' } }, (_request, reply) => {
    reply.hijack();
    stream.watch(reply.raw);
  });
}
