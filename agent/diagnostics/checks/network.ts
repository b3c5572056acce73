import { createPrivateKey, X509Certificate } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { parseJoinString } from '../../../protocol/enrolment.ts';
import { pinnedCa } from '../../enrolment/pinned-ca.ts';
import { namesIn, readText } from '../../supervisor/health/small-file.ts';
import { BUILT_AT } from '../../version.ts';
import { type Check, IDENTITY_CLOSED, type Patient } from '../check.ts';
import { type CertificateFacts, judgeCertificate } from '../core/certificate.ts';
import { isPlausible } from '../core/clock.ts';
import { cannotTell, type Finding, skipped, together } from '../core/finding.ts';
import { judgeDns, judgeRoute, type Lookup, type NetworkFacts } from '../core/network.ts';
import { type Endpoint, judgeBroker, judgeReached } from '../core/server.ts';
import type { Host } from '../host.ts';
import { codeOf, isAddress, reach } from '../server-probe.ts';

const CONNECT_MS = 8_000;
const RTF_UP = 0x1;
const RTF_REJECT = 0x200;

export const route: Check = {
  name: 'route',
  limitMs: 2_000,
  run: ({ patient }) => judgeRoute(networkFacts(patient.host), serverOf(patient) !== undefined),
};

export const dns: Check = {
  name: 'dns',
  limitMs: CONNECT_MS + 2_000,
  run: async ({ patient, signal }) => {
    const host = serverOf(patient)?.host;
    const facts = networkFacts(patient.host);
    const found = host === undefined || isAddress(host) ? undefined : await lookUp(host, signal);
    return judgeDns(facts, host, found);
  },
};

export const server: Check = {
  name: 'server',
  limitMs: CONNECT_MS + 2_000,
  run: async ({ patient: { identity, config }, signal }) => {
    if (typeof identity === 'string') return unreadable(identity);
    if (identity === undefined)
      return config.join === undefined
        ? skipped('The device is in no fleet: there is no server to reach')
        : reachByPin(config.join);
    const endpoints = [identity.mqtt, ...(identity.https ? [identity.https] : [])];
    const look = { signal, limitMs: CONNECT_MS };
    const reached = await Promise.all(endpoints.map((endpoint) => reach(endpoint, identity, look)));
    return together(reached.map(judgeReached));
  },
};

export const certificate: Check = {
  name: 'certificate',
  limitMs: 2_000,
  run: ({ patient }) => {
    const { identity, host, record } = patient;
    if (identity === IDENTITY_CLOSED) return cannotTell(IDENTITY_CLOSED);
    const now = host.now();
    const clock = { now, builtAt: BUILT_AT, trustedTime: record?.trustedTime ?? 0 };
    const facts = typeof identity === 'object' ? certificateFacts(identity) : identity;
    return judgeCertificate(facts, { now, isClockPlausible: isPlausible(clock) });
  },
};

export const broker: Check = {
  name: 'broker',
  limitMs: CONNECT_MS + 4_000,
  run: async ({ patient: { identity, agent }, signal }) => {
    if (typeof identity === 'string') return unreadable(identity);
    if (identity === undefined) return skipped('The device is not enrolled: no broker knows it');
    // Of all checks only this one needs the MQTT package.
    const { probeBroker } = await import('../broker-probe.ts');
    return judgeBroker({
      endpoint: identity.mqtt,
      isAgentConnected: typeof agent === 'object' ? agent.link.state === 'connected' : undefined,
      outcome: await probeBroker(identity, signal),
    });
  },
};

const unreadable = (identity: string): Finding =>
  cannotTell(identity === IDENTITY_CLOSED ? identity : 'the identity cannot be read (see certificate)');

function serverOf({ identity, config }: Patient): Endpoint | undefined {
  if (typeof identity === 'object') return identity.mqtt;
  return config.join === undefined ? undefined : parseJoinString(config.join);
}

async function reachByPin(joinString: string): Promise<Finding> {
  const invite = parseJoinString(joinString);
  if (!invite) return skipped('Cannot tell, because the join string cannot be read');
  const { host, port, caSha256 } = invite;
  try {
    await pinnedCa(host, port, caSha256);
    return judgeReached({ endpoint: { host, port }, protocol: 'TLS, the CA of the join string', tookMs: 0 });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { verdict: 'fail', found: message, advice: 'check the join string, the network and the server' };
  }
}

function certificateFacts(identity: {
  device: string;
  certificate: string;
  ca: string;
  key: string;
}): CertificateFacts {
  const own = new X509Certificate(identity.certificate);
  const ca = new X509Certificate(identity.ca);
  return {
    device: identity.device,
    commonName: /^CN=(.+)$/m.exec(own.subject)?.[1] ?? own.subject,
    validFrom: Date.parse(own.validFrom),
    validTo: Date.parse(own.validTo),
    isOfKey: own.checkPrivateKey(createPrivateKey(identity.key)),
    isOfCa: own.checkIssued(ca) && own.verify(ca.publicKey),
  };
}

/** getaddrinfo(3) cannot be called off: the race is left behind. */
async function lookUp(host: string, signal: AbortSignal): Promise<Lookup> {
  const { promise: late, resolve } = Promise.withResolvers<Lookup>();
  const timer = setTimeout(() => resolve({ code: 'timeout' }), CONNECT_MS);
  signal.addEventListener('abort', () => resolve({ code: 'timeout' }), { once: true });
  const asked = lookup(host, { all: true }).then(
    (found) => ({ addresses: found.map(({ address }) => address) }),
    (error: unknown) => ({ code: codeOf(error) }),
  );
  return Promise.race([asked, late]).finally(() => clearTimeout(timer));
}

function networkFacts(host: Host): NetworkFacts {
  const read = (path: string): string => readText(host.at(path)) ?? '';
  const links = namesIn(host.at('/sys/class/net')).filter((name) => name !== 'lo');
  return {
    defaultRoutes: [
      ...new Set([...defaults4(read('/proc/net/route')), ...defaults6(read('/proc/net/ipv6_route'))]),
    ],
    links: links.map((name) => ({
      name,
      state: read(`/sys/class/net/${name}/operstate`).trim() || 'unknown',
    })),
    nameServers: [...read('/etc/resolv.conf').matchAll(/^\s*nameserver\s+(\S+)/gm)].map(
      ([, name = '']) => name,
    ),
  };
}

const defaults4 = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.split('\t'))
    .filter(([, to, , flags, , , , mask]) => to === '00000000' && mask === '00000000' && isUsable(flags))
    .sort((a, b) => Number(a[6]) - Number(b[6]))
    .flatMap(([name]) => name ?? []);

const defaults6 = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([to, length, , , , , , , flags]) => /^0{32}$/.test(to ?? '') && length === '00' && isUsable(flags),
    )
    .flatMap((fields) => fields[9] ?? [])
    .filter((name) => name !== 'lo');

const isUsable = (flags = '0'): boolean => {
  const bits = Number.parseInt(flags, 16);
  return (bits & RTF_UP) !== 0 && (bits & RTF_REJECT) === 0;
};
