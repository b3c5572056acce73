import { createHash } from 'node:crypto';
import { type SecureContextOptions, TLSSocket } from 'node:tls';
import { type FastifyRequest, fastify } from 'fastify';
import type { Logger } from 'pino';
import { checkEnrolRequest } from '../../protocol/enrolment.ts';
import { listenApp } from '../listen.ts';
import { ProblemError } from '../problems.ts';
import { RateLimit } from '../rate-limit.ts';
import { speakNotFound, speakProblems } from '../rest/problem-json.ts';
import { type ObjectRouteOptions, objectRoutes } from '../transport/object-routes.ts';
import { type EnrolmentOptions, enrolDevice } from './enrol.ts';

const BODY_BYTES = 32 * 1024;
const TRIES_PER_MINUTE = 30;

export interface EnrolmentServer {
  port: number;
  useCertificate(context: SecureContextOptions): void;
  close(): Promise<void>;
}

async function admit(
  { socket }: FastifyRequest,
  mayRead: (device: string, certificateSha256: string) => Promise<boolean>,
): Promise<string> {
  const peer = socket instanceof TLSSocket && socket.authorized ? socket.getPeerCertificate() : undefined;
  const device = peer?.subject?.CN;
  const isKnown =
    typeof device === 'string' &&
    peer !== undefined &&
    (await mayRead(device, createHash('sha256').update(peer.raw).digest('hex')));
  if (!isKnown)
    throw new ProblemError(
      'device.certificate',
      'Cannot give objects: show the certificate of a device that is enrolled and not blocked',
    );
  return device;
}

/** The device port: POST /enrol is all a device without an identity may say; GET /objects is for those with one. */
export async function startEnrolmentServer(
  options: EnrolmentOptions & {
    host: string;
    port: number;
    tls: { key: string; cert: string };
    /** Reading objects, for devices that show a certificate of ours. */
    objects: Omit<ObjectRouteOptions, 'admit'> & {
      mayRead(device: string, certificateSha256: string): Promise<boolean>;
    };
    log: Logger;
  },
): Promise<EnrolmentServer> {
  const limit = new RateLimit(TRIES_PER_MINUTE, 60_000, options.now);
  const app = fastify({
    // Who enrols has no certificate yet: asked for, checked where it is needed.
    https: { ...options.tls, ca: options.ca.pem, requestCert: true, rejectUnauthorized: false },
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
  objectRoutes(app, { ...options.objects, admit: (request) => admit(request, options.objects.mayRead) });
  const port = await listenApp(app, options.host, options.port);
  return {
    port,
    useCertificate: (context) => app.server.setSecureContext(context),
    close: () => app.close(),
  };
}
