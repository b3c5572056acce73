import type { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import { LIMITS } from '../../protocol/limits.ts';
import { tufKeyOf } from '../../protocol/tuf.ts';
import { ProblemError } from '../problems.ts';
import { signForBundle } from '../releases/bundle-metadata.ts';
import { versionOf } from '../releases/metadata-store.ts';
import { publishRelease } from '../releases/publish.ts';
import { releaseView } from '../releases/view.ts';
import { audit } from '../store/audit.ts';
import { objectRoutes } from '../transport/object-routes.ts';
import { BundleMetadata, MakeBundle, Page, PublishRelease, Release, Repository } from './api.ts';
import type { RestOptions } from './app.ts';
import { PageQuery, pageOf } from './paging.ts';

const DAY_MS = 86_400_000;
/** They share what is let out like one more device. No device has such a name. */
const OPERATORS = '.operators';
const ReleaseId = Type.Object({ id: Type.String({ maxLength: 36 }) });
const ObjectName = Type.Object({ name: Type.String({ maxLength: 80 }) });
type ByName = { Params: Static<typeof ObjectName> };

export function releaseRoutes(app: FastifyInstance, options: RestOptions): void {
  const { publish, feed } = options;
  const { db } = publish;

  app.get<{ Querystring: Static<typeof PageQuery> }>(
    '/releases',
    {
      schema: { summary: 'Releases, newest first', querystring: PageQuery, response: { 200: Page(Release) } },
    },
    async ({ query: { limit, cursor } }) => {
      let rows = db
        .selectFrom('releases')
        .selectAll()
        .orderBy('id', 'desc')
        .limit(limit + 1);
      if (cursor) rows = rows.where('id', '<', cursor);
      const { items, next } = pageOf(await rows.execute(), limit, ({ id }) => id);
      return { items: await Promise.all(items.map((row) => releaseView(db, row))), next };
    },
  );
  app.get<{ Params: Static<typeof ReleaseId> }>(
    '/releases/:id',
    { schema: { summary: 'One release', params: ReleaseId, response: { 200: Release } } },
    async ({ params: { id } }) => {
      const row = await db.selectFrom('releases').selectAll().where('id', '=', id).executeTakeFirst();
      if (!row) throw new ProblemError('release.unknown', `There is no release ${id}`);
      return releaseView(db, row);
    },
  );
  app.post<{ Body: PublishRelease }>(
    '/releases',
    {
      schema: {
        summary: 'Publish a signed release whose objects are uploaded',
        body: PublishRelease,
        response: { 201: Release },
      },
    },
    async ({ body, who }, reply) => {
      const row = await publishRelease(publish, body, who.name);
      feed.releaseChanged(row.id);
      return reply.code(201).send(await releaseView(db, row));
    },
  );
  app.post<{ Params: Static<typeof ReleaseId>; Body: MakeBundle }>(
    '/releases/:id/bundles',
    {
      schema: {
        summary: 'Signed metadata for an offline bundle of a release',
        params: ReleaseId,
        body: MakeBundle,
        response: { 201: BundleMetadata },
      },
    },
    async ({ params: { id }, body, who }, reply) => {
      const row = await db.selectFrom('releases').selectAll().where('id', '=', id).executeTakeFirst();
      if (!row) throw new ProblemError('release.unknown', `There is no release ${id}`);
      const at = options.now();
      const subject = `${row.name} ${row.version}`;
      await audit(db, { at, who: who.name, action: 'release.bundle', subject, detail: `${body.days} days` });
      return reply.code(201).send(await signForBundle(db, publish.keys, at, body.days * DAY_MS));
    },
  );
  app.get(
    '/repository',
    { schema: { summary: 'What is trusted now', response: { 200: Repository } } },
    async () => ({
      rootVersion: (await versionOf(db, 'root')) ?? null,
      targetsVersion: (await versionOf(db, 'targets')) ?? null,
      onlineKeys: {
        snapshot: tufKeyOf(publish.keys.snapshot).toJSON(),
        timestamp: tufKeyOf(publish.keys.timestamp).toJSON(),
      },
    }),
  );
  uploadRoutes(app, options);
  // Who is signed in may read all of it: the guard of these routes has seen to that.
  objectRoutes(app, { ...options.objects, admit: async () => OPERATORS });
}

function uploadRoutes(app: FastifyInstance, { publish: { objects, db }, now }: RestOptions): void {
  app.head<ByName>(
    '/objects/:name',
    { schema: { summary: 'Is this object stored?', params: ObjectName } },
    async ({ params: { name } }, reply) => {
      const bytes = /^(?:blob|leaves|manifest)-[0-9a-f]{64}$/.test(name)
        ? await objects.sizeOf(name)
        : undefined;
      return reply
        .code(bytes === undefined ? 404 : 200)
        .header('x-object-bytes', String(bytes ?? 0))
        .send();
    },
  );
  void app.register(async (uploads) => {
    // The body stays a stream: a blob is larger than the memory it passes through.
    uploads.removeAllContentTypeParsers();
    uploads.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
    uploads.put<ByName & { Body: Readable }>(
      '/objects/:name',
      {
        bodyLimit: LIMITS.blobBytes,
        schema: { summary: 'Upload a blob or a manifest', params: ObjectName },
      },
      async ({ params: { name }, body, who }, reply) => {
        const { isNew } = await objects.put(name, body ?? emptyBody());
        if (isNew) await audit(db, { at: now(), who: who.name, action: 'object.put', subject: name });
        return reply.code(isNew ? 201 : 204).send();
      },
    );
  });
}

// A request without a body still has content: none.
async function* emptyBody(): AsyncGenerator<Uint8Array> {}
