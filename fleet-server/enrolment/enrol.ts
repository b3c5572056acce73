import { randomBytes } from 'node:crypto';
import { type EnrolRequest, type EnrolResponse } from '../../protocol/enrolment.ts';
import { TENANT } from '../config.ts';
import { ProblemError } from '../problems.ts';
import { audit } from '../store/audit.ts';
import type { Database } from '../store/tables.ts';
import { checkRequest, type DeviceCa } from './device-ca.ts';
import { takeEnrolmentToken } from './tokens.ts';

export interface EnrolmentOptions {
  db: Database;
  ca: DeviceCa;
  /** SPKI PEM. */
  /** SPKI PEM. */
  fleetKey(): string;
  mqtt: { host: string; port: number };
  now: () => number;
}

/** Trades a token and a certificate request for an identity. Throws ProblemError; a refusal takes no use. */
export async function enrolDevice(
  { db, ca, fleetKey, mqtt, now }: EnrolmentOptions,
  request: EnrolRequest,
): Promise<EnrolResponse> {
  const checked = await checkRequest(request.csr);
  return db.transaction().execute(async (transaction) => {
    await takeEnrolmentToken(transaction, request.token, now());
    // After the token, so that only its holders learn what we think of requests.
    if (!checked.ok)
      throw new ProblemError('enrol.csr-bad', `Cannot accept the certificate request: ${checked.fault}`);
    const device = await freeId(transaction, request.name);
    const certificate = await ca.issueDevice(device, checked.publicKey);
    await transaction
      .insertInto('devices')
      .values({
        id: device,
        board: request.board,
        platform: request.platform,
        enrolledAt: now(),
        certificateSha256: certificate.sha256,
        certificateExpiresAt: certificate.expiresAt,
        blockedAt: null,
        desiredReleaseId: null,
        desiredGeneration: 0,
      })
      .execute();
    await audit(transaction, { at: now(), who: `device ${device}`, action: 'device.enrol', subject: device });
    return {
      v: 1,
      device,
      tenant: TENANT,
      certificate: certificate.pem,
      ca: ca.pem,
      fleetKey: fleetKey(),
      mqtt,
    };
  });
}

async function freeId(db: Database, wished: string): Promise<string> {
  for (let id = wished; ; id = `${wished}-${randomBytes(3).toString('hex')}`) {
    const taken = await db.selectFrom('devices').select('id').where('id', '=', id).executeTakeFirst();
    if (!taken) return id;
  }
}
