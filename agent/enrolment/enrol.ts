import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { chmod, mkdir } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { replaceFile } from '../../protocol/durable-file.ts';
import {
  checkEnrolResponse,
  type EnrolRequest,
  type EnrolResponse,
  type JoinString,
  parseJoinString,
} from '../../protocol/enrolment.ts';
import type { Platform } from '../../protocol/manifest.ts';
import { deviceKey, signingRequest } from './device-key.ts';
import { EnrolError, isAboutCertificate } from './enrol-error.ts';
import { IDENTITY_FILES, type Identity, loadIdentity } from './identity.ts';
import { pinnedCa } from './pinned-ca.ts';

const ANSWER_BYTES = 128 * 1024;
const TIMEOUT_MS = 30_000;

/**
 * Trades a join string for an identity, durable in `identityDir`. A device that is enrolled keeps what it has; an
 * enrolment that was cut short is begun again with the same key.
 */
export async function enrol({
  joinString,
  name,
  board,
  platform,
  identityDir,
}: {
  joinString: string;
  name: string;
  board: string;
  platform: Platform;
  identityDir: string;
}): Promise<Identity> {
  const invite = parseJoinString(joinString);
  if (!invite)
    throw new EnrolError(
      'malformed',
      'Cannot enrol: the join string cannot be read; wanted wherry://host:port#ca=sha256:<hex>&t=<token>',
    );
  await mkdir(identityDir, { recursive: true, mode: 0o700 });
  await chmod(identityDir, 0o700);
  const held = await loadIdentity(identityDir);
  if (held) return held;
  // The pin first: the token goes to nobody else.
  const ca = await pinnedCa(invite.host, invite.port, invite.caSha256);
  const key = await deviceKey(join(identityDir, IDENTITY_FILES.key));
  const csr = signingRequest(key, name);
  const answer = await post(invite, ca, { v: 1, token: invite.token, csr, name, board, platform });
  checkAnswer(answer, key, invite.caSha256);
  const https = { host: invite.host, port: invite.port };
  return persist(identityDir, answer, { key, board, platform, https });
}

function checkAnswer(answer: EnrolResponse, key: string, caSha256: string): void {
  const certificate = new X509Certificate(answer.certificate);
  const ca = new X509Certificate(answer.ca);
  if (!certificate.checkPrivateKey(createPrivateKey(key)))
    throw new EnrolError('untrusted', "Cannot enrol: the certificate that came is not for this device's key");
  if (createHash('sha256').update(ca.raw).digest('hex') !== caSha256)
    throw new EnrolError('untrusted', 'Cannot enrol: the CA that came is not the one of the join string');
}

async function persist(
  folder: string,
  answer: EnrolResponse,
  { key, ...given }: Pick<Identity, 'key' | 'board' | 'platform' | 'https'>,
): Promise<Identity> {
  const { device, tenant, mqtt, certificate, ca, fleetKey } = answer;
  await replaceFile(join(folder, IDENTITY_FILES.certificate), certificate);
  await replaceFile(join(folder, IDENTITY_FILES.ca), ca);
  await replaceFile(join(folder, IDENTITY_FILES.fleetKey), fleetKey);
  const record = { v: 1 as const, device, tenant, ...given, mqtt };
  // Last: with it the identity is whole.
  await replaceFile(join(folder, IDENTITY_FILES.record), JSON.stringify(record, null, 1));
  return { ...record, key, certificate, ca, fleetKey };
}

function post({ host, port }: JoinString, ca: string, body: EnrolRequest): Promise<EnrolResponse> {
  return new Promise((resolve, reject) => {
    const payload = JSON.stringify(body);
    const fail = (what: string, code: EnrolError['code'] = 'unreachable') =>
      reject(new EnrolError(code, `Cannot enrol at ${host}:${port}: ${what}`));
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
    const asked = request(
      {
        host: host.replace(/^\[|\]$/g, ''),
        port,
        path: '/enrol',
        method: 'POST',
        headers,
        ca,
        agent: false,
        timeout: TIMEOUT_MS,
      },
      (response) => {
        const parts: Buffer[] = [];
        let bytes = 0;
        response.on('data', (part: Buffer) => {
          bytes += part.length;
          if (bytes > ANSWER_BYTES) asked.destroy(new Error('the answer is too long'));
          else parts.push(part);
        });
        response.on('end', () => {
          const text = Buffer.concat(parts).toString('utf8');
          if (response.statusCode !== 200 && response.statusCode !== 201)
            return fail(
              `the server says ${response.statusCode}: ${detailOf(text)}`,
              codeOf(response.statusCode),
            );
          const checked = checkEnrolResponse(parseJson(text));
          return checked.ok
            ? resolve(checked.value)
            : fail(`its answer cannot be read: ${checked.faults.join('; ')}`);
        });
      },
    );
    asked.on('timeout', () => asked.destroy(new Error(`no answer for ${TIMEOUT_MS / 1000} s`)));
    asked.on('error', (error) =>
      fail(error.message, isAboutCertificate(error) ? 'untrusted' : 'unreachable'),
    );
    asked.end(payload);
  });
}

/** A server that is overloaded or broken may take the device another time; 429 is an answer of that kind. */
const codeOf = (status = 0): EnrolError['code'] =>
  status >= 400 && status < 500 && status !== 429 ? 'refused' : 'unreachable';

/** The words of a problem+json answer (RFC 9457), else its text. */
function detailOf(text: string): string {
  const problem = parseJson(text) as { detail?: unknown; title?: unknown } | undefined;
  return String(problem?.detail ?? problem?.title ?? text).slice(0, 300);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
