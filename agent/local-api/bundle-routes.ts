import { BUNDLE_LIMITS } from '../diagnostics/bundle/limits.ts';
import type { LocalCall, Route } from './call.ts';
import { LOCAL_API_LIMITS } from './limits.ts';
import { type Answer, problem } from './problems.ts';
import { isName } from './request-body.ts';

export const BUNDLE_ROUTES: Route[] = [{ method: 'GET', path: '/v1/support-bundle', answer: bundle }];

async function bundle({ view, query }: LocalCall): Promise<Answer> {
  const bytes = query.get('bytes') ?? String(BUNDLE_LIMITS.defaultBytes);
  const maxBytes = /^\d{1,9}$/.test(bytes) ? Number(bytes) : Number.NaN;
  if (!(maxBytes >= BUNDLE_LIMITS.minBytes && maxBytes <= BUNDLE_LIMITS.maxBytes))
    return problem(
      'bad-query',
      `Cannot read bytes=${bytes}: wanted a number of bytes from ${BUNDLE_LIMITS.minBytes} to ${BUNDLE_LIMITS.maxBytes}`,
    );
  const who = query.get('by') ?? 'local';
  if (!isName(who))
    return problem(
      'bad-query',
      `Cannot read by: wanted a name of 1 to ${LOCAL_API_LIMITS.whoCharacters} printable characters`,
    );
  const pieces = view.bundle.make({ maxBytes, who })[Symbol.asyncIterator]();
  // What cannot be made is a problem, not a text that ends before it begins.
  try {
    const first = await pieces.next();
    return { kind: 'text', pieces: joined(first, pieces) };
  } catch (error) {
    return problem('no-bundle', error instanceof Error ? error.message : String(error));
  }
}

async function* joined(
  first: IteratorResult<Uint8Array>,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    for (let next = first; !next.done; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}
