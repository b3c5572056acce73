import { cannotTell, type Finding, fail, ok, skipped } from './finding.ts';

export interface Endpoint {
  host: string;
  port: number;
}

/** What became of one TLS connection. `code`: of Node or OpenSSL. */
export type Reached =
  | { endpoint: Endpoint; protocol: string; tookMs: number }
  | { endpoint: Endpoint; code: string; message: string };

const NETWORK_AWAY = new Set(['ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN', 'EADDRNOTAVAIL']);
const NAME_UNKNOWN = new Set(['ENOTFOUND', 'EAI_AGAIN']);
/** OpenSSL's words for a chain that does not end in the CA that the device was given. */
const FOREIGN_CA = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
]);

/** One endpoint of the server, whose CA the device was given when it enrolled. */
export function judgeReached(reached: Reached): Finding {
  const { host, port } = reached.endpoint;
  const where = `${host}:${port}`;
  if ('protocol' in reached) return ok(`${where} is the server (${reached.protocol}, ${reached.tookMs} ms)`);
  const { code, message } = reached;
  if (NETWORK_AWAY.has(code)) return cannotTell(`no network leads to ${where} (see route)`);
  if (NAME_UNKNOWN.has(code)) return cannotTell(`the name ${host} cannot be looked up (see dns)`);
  if (FOREIGN_CA.has(code))
    return fail(
      `Who answers at ${where} is not the server: its certificate is not signed by the pinned CA (${code})`,
      'look for a proxy that opens TLS on the way; if the server was set up anew, enrol the device again',
    );
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return fail(
      `The certificate of ${where} ${code === 'CERT_HAS_EXPIRED' ? 'has expired' : 'is not valid yet'} by this clock`,
      'check this clock first (see clock), then the server, which renews its own certificate',
    );
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return fail(
      `The server's certificate does not name ${host}`,
      'start the server with this name among its host names, or enrol by one that it has',
    );
  if (code === 'ECONNREFUSED')
    return fail(
      `Nobody listens at ${where}`,
      'check that the server runs and that no firewall rejects the port',
    );
  if (code === 'timeout' || code === 'ETIMEDOUT')
    return fail(
      `${where} does not answer`,
      'check that a firewall lets the port through, in both directions',
    );
  return fail(`${where} cannot be reached: ${message}`, 'check the network and the server');
}

export interface BrokerFacts {
  endpoint: Endpoint;
  /** Whether the agent's own session is open; undefined when no agent answers. */
  isAgentConnected: boolean | undefined;
  outcome:
    | { step: 'done'; tookMs: number }
    /** `code`: the CONNACK's return code, [MQTT-3.2.2-4]; or of the connection. */
    | { step: 'connect'; code: string | number; message: string }
    | { step: 'subscribe' | 'publish'; message: string };
}

const REFUSED_BY_CODE: Record<number, string> = {
  1: 'does not speak MQTT 3.1.1',
  2: 'does not take the client id',
  3: 'is not available',
  4: 'does not take the user name',
  5: 'does not take this device',
};

export function judgeBroker({ endpoint, isAgentConnected, outcome }: BrokerFacts): Finding {
  const where = `${endpoint.host}:${endpoint.port}`;
  if (outcome.step === 'done')
    return ok(`The broker at ${where} takes this device, its topics too (${outcome.tookMs} ms)`);
  if (outcome.step !== 'connect')
    return fail(
      `The broker takes the device but refuses to let it ${outcome.step}: ${outcome.message}`,
      "look at the server's log and at the broker's access rules for this device",
    );
  const refused = typeof outcome.code === 'number' ? REFUSED_BY_CODE[outcome.code] : undefined;
  if (refused === undefined) return cannotTell(`no session could be opened: ${outcome.message} (see server)`);
  if (isAgentConnected === true)
    return skipped(
      "The agent's own session is open; the server is older than this agent and knows no doctor's session",
    );
  return fail(
    `The broker at ${where} ${refused} (code ${outcome.code})`,
    'see on the server whether the device is blocked or was enrolled again elsewhere; a server older than this ' +
      'agent refuses the doctor too',
  );
}
