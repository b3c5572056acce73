import type {
  PostMortemsAnswer,
  SecretAnswer,
  SecretsAnswer,
  ServicesAnswer,
  VersionAnswer,
  WhyAnswer,
} from './answers.ts';
import { BUNDLE_ROUTES } from './bundle-routes.ts';
import { type LocalCall as Call, json, type LocalRequest, type Route } from './call.ts';
import { CHANNEL_ROUTES } from './channel-routes.ts';
import { ENROL_ROUTES } from './enrol-routes.ts';
import { EVENT_ROUTES } from './event-routes.ts';
import { EXEC_PATH, EXEC_ROUTES } from './exec-routes.ts';
import { HOLD_ROUTES } from './hold-routes.ts';
import { LOCAL_API_LIMITS } from './limits.ts';
import { LOG_ROUTES } from './log-routes.ts';
import { PLAN_ROUTES } from './plan-routes.ts';
import type { AgentView } from './ports.ts';
import { type Answer, problem } from './problems.ts';
import { isName } from './request-body.ts';
import { unknownService } from './unknown-service.ts';
import { UPDATE_ROUTES } from './update-routes.ts';

export const ROUTES: Route[] = [
  { method: 'GET', path: '/v1/version', answer: version },
  { method: 'GET', path: '/v1/status', answer: status },
  { method: 'GET', path: '/v1/services', answer: services },
  { method: 'GET', path: '/v1/services/:name', answer: inspect },
  { method: 'GET', path: '/v1/services/:name/why', answer: why },
  ...HOLD_ROUTES,
  ...LOG_ROUTES,
  ...EXEC_ROUTES,
  ...EVENT_ROUTES,
  ...CHANNEL_ROUTES,
  { method: 'GET', path: '/v1/secrets', answer: secrets },
  {
    method: 'PUT',
    path: '/v1/secrets/:name',
    bodyBytes: LOCAL_API_LIMITS.secretBytes,
    answer: putSecret,
  },
  { method: 'DELETE', path: '/v1/secrets/:name', answer: removeSecret },
  { method: 'GET', path: '/v1/postmortems', answer: postmortems },
  { method: 'GET', path: '/v1/postmortems/:name', answer: postmortem },
  ...BUNDLE_ROUTES,
  ...UPDATE_ROUTES,
  ...PLAN_ROUTES,
  ...ENROL_ROUTES,
];

/** Largest body in bytes that a request to this path may have. */
export const bodyLimit = ({ method, url }: Pick<LocalRequest, 'method' | 'url'>): number =>
  routesTo(url).find(({ route }) => route.method === method)?.route.bodyBytes ?? LOCAL_API_LIMITS.bodyBytes;

/** The service whose `exec` this path is; undefined for all other paths. */
export function execService(url: string): string | undefined {
  return routesTo(url).find(({ route }) => route.path === EXEC_PATH)?.name;
}

/** Answers one request from the view. Throws only when the view throws. */
export function answerRequest(view: AgentView, request: LocalRequest): Answer | Promise<Answer> {
  const [path = '', search = ''] = request.url.split('?', 2);
  const matches = routesTo(request.url);
  const match = matches.find(({ route }) => route.method === request.method);
  if (match) {
    return match.route.answer({ view, request, query: new URLSearchParams(search), name: match.name });
  }
  const allowed = matches.map(({ route }) => route.method).join(', ');
  if (!allowed) return problem('no-such-route', `Cannot find ${path}: the local API holds nothing there`);
  const refusal = problem(
    'method-not-allowed',
    `Cannot ${request.method} ${path}: this path takes ${allowed} only`,
  );
  return { ...refusal, allow: allowed } as Answer;
}

function routesTo(url: string): { route: Route; name: string }[] {
  const [path = ''] = url.split('?', 1);
  return ROUTES.flatMap((route) => {
    const name = nameIn(route.path, path);
    return name === undefined ? [] : [{ route, name }];
  });
}

/** What stands for `:name` when the path matches the pattern ('' where the pattern has none), else undefined. */
function nameIn(pattern: string, path: string): string | undefined {
  const wanted = pattern.split('/');
  const given = path.split('/');
  if (wanted.length !== given.length) return undefined;
  if (!wanted.every((part, index) => part === ':name' || part === given[index])) return undefined;
  const at = wanted.indexOf(':name');
  if (at < 0) return '';
  try {
    return decodeURIComponent(given[at] ?? '');
  } catch {
    return undefined;
  }
}

function version({ view }: Call): Answer {
  return json({ version: view.version(), api: 'v1', node: process.version } satisfies VersionAnswer);
}

async function status({ view, query }: Call): Promise<Answer> {
  const sample = query.get('sample') ?? '0';
  if (sample !== '0' && sample !== '1')
    return problem('bad-query', `Cannot read sample=${sample}: wanted 0 or 1`);
  if (sample === '1') await view.sample();
  return json(view.status());
}

function services({ view }: Call): Answer {
  return json({ services: view.status().services } satisfies ServicesAnswer);
}

async function inspect({ view, name: service }: Call): Promise<Answer> {
  const inspection = await view.inspect(service);
  return inspection ? json(inspection) : unknownService(view, service);
}

function postmortems({ view }: Call): Answer {
  return json({ postmortems: view.capsules() } satisfies PostMortemsAnswer);
}

function postmortem({ view, name: id }: Call): Answer {
  const capsule = view.capsule(id);
  if (capsule) return json(capsule);
  return problem(
    'unknown-postmortem',
    `Cannot find post-mortem "${id}": the agent keeps the last ones only, and not this one`,
  );
}

function why({ view, name: service }: Call): Answer {
  const reasons = view.why(service);
  if (!reasons) return unknownService(view, service);
  const status = view.status().services.find(({ name }) => name === service);
  const hold = view.holds.of(service);
  return json({
    service,
    ...(status && { state: status.state, since: status.since }),
    ...(status?.kind && { kind: status.kind }),
    ...(hold && { hold }),
    reasons,
  } satisfies WhyAnswer);
}

async function secrets({ view }: Call): Promise<Answer> {
  return json({ secrets: await view.secrets.list() } satisfies SecretsAnswer);
}

function putSecret(call: Call): Promise<Answer> {
  return changeSecret(call, (who) => call.view.secrets.put(call.name, call.request.body, who));
}

function removeSecret(call: Call): Promise<Answer> {
  return changeSecret(call, (who) => call.view.secrets.remove(call.name, who));
}

/** Who asks comes in the query here: the body of a secret is its content and nothing else. */
async function changeSecret(
  { query }: Call,
  change: (who: string) => Promise<SecretAnswer | { refused: string }>,
): Promise<Answer> {
  const by = query.get('by') ?? 'local';
  if (!isName(by)) {
    return problem(
      'bad-query',
      `Cannot read by: wanted a name of 1 to ${LOCAL_API_LIMITS.whoCharacters} printable characters`,
    );
  }
  const answer = await change(by);
  return 'refused' in answer ? problem('bad-secret', answer.refused) : json(answer);
}
