import { isoTime } from '../../../protocol/instant.ts';
import { cannotTell, type Finding, fail, ok, skipped, warn } from './finding.ts';

export interface CertificateFacts {
  device: string;
  commonName: string;
  /** Unix ms. */
  validFrom: number;
  validTo: number;
  isOfKey: boolean;
  isOfCa: boolean;
}

export interface CertificateContext {
  now: number;
  isClockPlausible: boolean;
}

const DAY_MS = 86_400_000;
const WARN_MS = 30 * DAY_MS;
const ENROL =
  'make a join string on the server, put it into agent.json, delete the identity folder and restart';

/** `facts`: undefined = not enrolled; a string = why the identity cannot be read. */
export function judgeCertificate(
  facts: CertificateFacts | string | undefined,
  { now, isClockPlausible }: CertificateContext,
): Finding {
  if (facts === undefined) return skipped('The device is not enrolled: it has no certificate');
  if (typeof facts === 'string') return fail(facts, ENROL);
  const { device, commonName, validFrom, validTo, isOfKey, isOfCa } = facts;
  if (!isOfKey) return fail("The certificate is not for this device's key", ENROL);
  if (!isOfCa) return fail("The certificate is not signed by the server's CA", ENROL);
  if (commonName !== device)
    return fail(`The certificate names ${commonName}, but the device is ${device}`, ENROL);
  if (!isClockPlausible) return cannotTell(`the clock is not right (see clock); it ends ${isoTime(validTo)}`);
  if (now < validFrom)
    return fail(`The certificate of ${device} begins ${isoTime(validFrom)} only`, 'check the clock');
  if (now >= validTo) return fail(`The certificate of ${device} ended ${isoTime(validTo)}`, ENROL);
  const days = Math.floor((validTo - now) / DAY_MS);
  const age = Math.floor((now - validFrom) / DAY_MS);
  const found = `The certificate of ${device} is ${age} days old and ends in ${days} days`;
  return validTo - now < WARN_MS ? warn(found, ENROL) : ok(found);
}
