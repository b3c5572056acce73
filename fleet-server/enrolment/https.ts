import type { SecureContextOptions } from 'node:tls';
import { fastify } from 'fastify';
import type { Logger } from 'pino';
import { checkEnrolRequest } from '../../protocol/enrolment.ts';
import { listenApp } from '../listen.ts';
import { ProblemError } from '../problems.ts';
import { RateLimit } from '../rate-limit.ts';
import { speakNotFound, speakProblems } from '../rest/problem-json.ts';
import { type EnrolmentOptions, enrolDevice } from './enrol.ts';

const BODY_BYTES = 32 * 1024;
const TRIES_PER_MINUTE = 30;

export interface EnrolmentServer {
  port: number;
  useCertificate(context: SecureContextOptions): void;
  close(): Promise<void>;
}

/** POST /enrol over HTTPS: all a device without an identity may say. */
export async function startEnrolmentServer(
  options: EnrolmentOptions & {
    host: string;
    port: number;
    tls: { key: string; cert: string };
    log: Logger;
  },
): Promise<EnrolmentServer> {
  const limit = new RateLimit(TRIES_PER_MINUTE, 60_000, options.now);
  const app = fastify({
    https: options.tls,
    bodyLimit: BODY_BYTES,
    requestTimeout: 10_000,
    forceCloseConnections: true,
  });
  speakProblems(app, options.log);
  speakNotFound(app);
  // oxlint-disable-next-line oxc/no-async-endpoint-handlers -- Fastify awaits its handlers
  app.post('/enrol', async (request) => {
    if (!limit.take(request.ip))
      throw new ProblemError('request.rate-limited', 'Cannot enrol: too many tries; wait a minute');
    const body = checkEnrolRequest(request.body);
    if (!body.ok)
      throw new ProblemError('request.invalid', `Cannot read the request: ${body.faults.join('; ')}`);
    const response = await enrolDevice(options, body.value);
    options.log.info({ device: response.device }, 'enrolled a device');
    return response;
  });
  const port = await listenApp(app, options.host, options.port);
  return {
    port,
    useCertificate: (context) => app.server.setSecureContext(context),
    close: () => app.close(),
  };
}
