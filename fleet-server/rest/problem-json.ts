import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { type ProblemCode, ProblemError, problemBody } from '../problems.ts';

/** Makes every error of `app` an RFC 9457 body with our code; the particulars of our own failures stay in the log. */
// The generic parameters differ between HTTP and HTTPS apps and do not matter here.
// oxlint-disable-next-line typescript/no-explicit-any
export function speakProblems(app: FastifyInstance<any, any, any, any, any>, log: Logger): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    if (error instanceof ProblemError) return sendProblem(reply, error.code, error.message);
    if (error.validation)
      return sendProblem(reply, 'request.invalid', `Cannot accept the request: ${error.message}`);
    const status = error.statusCode ?? 500;
    if (status === 413) return sendProblem(reply, 'request.too-large', error.message);
    if (status < 500) return sendProblem(reply, 'request.refused', error.message);
    log.error({ error, path: request.url }, 'request failed');
    return sendProblem(reply, 'server.failed', 'The request failed; the log of the server says why');
  });
}

// oxlint-disable-next-line typescript/no-explicit-any
export function speakNotFound(app: FastifyInstance<any, any, any, any, any>): void {
  app.setNotFoundHandler(sendNotFound);
}

export const sendNotFound = (request: FastifyRequest, reply: FastifyReply) =>
  sendProblem(reply, 'request.not-found', `There is nothing at ${request.method} ${request.url}`);

export function sendProblem(reply: FastifyReply, code: ProblemCode, detail: string) {
  const body = problemBody(code, detail);
  return reply
    .code(body.status)
    .header('content-type', 'application/problem+json; charset=utf-8')
    .serializer(JSON.stringify)
    .send(body);
}
