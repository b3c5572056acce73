import cookie from '@fastify/cookie';
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { fastify } from 'fastify';
import type { Logger } from 'pino';
import type { Deltas } from '../deltas/deltas.ts';
import type { MetricLog } from '../devices/metrics.ts';
import type { Pins } from '../devices/pins.ts';
import type { PostMortemStore } from '../devices/post-mortems.ts';
import type { DeviceViews } from '../devices/view.ts';
import type { Feed } from '../feed.ts';
import type { PublishOptions } from '../releases/publish.ts';
import type { Remote } from '../remote/remote.ts';
import type { Rollouts } from '../rollouts/rollouts.ts';
import type { Database } from '../store/tables.ts';
import type { ObjectRouteOptions } from '../transport/object-routes.ts';
import type { Auth } from './auth.ts';
import { deviceRoutes } from './device-routes.ts';
import { keyRoutes } from './key-routes.ts';
import { postMortemRoutes } from './post-mortem-routes.ts';
import { speakNotFound, speakProblems } from './problem-json.ts';
import { releaseRoutes } from './release-routes.ts';
import { remoteRoutes } from './remote-routes.ts';
import { rolloutRoutes } from './rollout-routes.ts';
import { sessionRoutes } from './session-routes.ts';
import type { Stream } from './stream.ts';
import { serveWeb } from './web.ts';

/** What the routes need; main.ts builds it. */
export interface RestOptions {
  auth: Auth;
  devices: DeviceViews;
  pins: Pins;
  remote: Remote;
  db: Database;
  metrics: MetricLog;
  postMortems: PostMortemStore;
  publish: PublishOptions;
  rollouts: Rollouts;
  deltas: Deltas;
  feed: Feed;
  stream: Stream;
  /** Pushes the desired state to a device that is connected. */
  sendDesired(device: string): Promise<void>;
  /** Reading what is stored. */
  objects: Omit<ObjectRouteOptions, 'admit'>;
  /** Replaces the key that signs assignments and tells the devices that are connected. */
  rotateFleetKey(): Promise<void>;
  /** The text a device joins with. */
  joinString(token: string): string;
  webDir: string | undefined;
  now: () => number;
  log: Logger;
}

/** The HTTP application: REST under /api/v1, the UI elsewhere. Not listening yet. */
export async function restApp(options: RestOptions) {
  const app = fastify({
    bodyLimit: 8 * 1024 * 1024,
    forceCloseConnections: true,
    // Unknown fields are refused, never dropped in silence.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: true, allErrors: true } },
  }).withTypeProvider<TypeBoxTypeProvider>();
  // Schemas of answers are for OpenAPI and the web client; answers are plain JSON already.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  speakProblems(app, options.log);
  await app.register(cookie);
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Wherry fleet server', version: '1' },
      components: {
        securitySchemes: {
          session: { type: 'apiKey', in: 'cookie', name: 'wherry_session' },
          apiToken: { type: 'http', scheme: 'bearer' },
        },
      },
    },
  });
  // At once: a reply that leaves the framework has them too.
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('x-content-type-options', 'nosniff');
    reply.header('referrer-policy', 'no-referrer');
  });
  app.get('/healthz', { schema: { hide: true } }, () => ({ ok: true }));
  app.get('/api/v1/openapi.json', { schema: { hide: true } }, () => app.swagger());
  await app.register(
    async (api) => {
      sessionRoutes(api, options);
      await api.register(async (guarded) => {
        guarded.addHook('onRequest', async (request) => {
          request.who = await options.auth.identify(request);
          options.auth.admit(request);
        });
        deviceRoutes(guarded, options);
        keyRoutes(guarded, options);
        postMortemRoutes(guarded, options);
        releaseRoutes(guarded, options);
        remoteRoutes(guarded, options);
        rolloutRoutes(guarded, options);
      });
    },
    { prefix: '/api/v1' },
  );
  if (options.webDir === undefined) speakNotFound(app);
  else await serveWeb(app, options.webDir);
  await app.ready();
  return app;
}
