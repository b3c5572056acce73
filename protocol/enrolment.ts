import type { FromSchema } from 'json-schema-to-ts';
import { validator } from './validate.ts';

/**
 * POST /enrol on the server's device port (HTTPS): a device trades a token and a PKCS#10 request for a client
 * certificate. The join string pins the CA: `wherry://host:port#ca=sha256:<hex>&t=<token>`, where <hex> is the
 * sha256 of the CA certificate's DER.
 */
export interface JoinString {
  host: string;
  port: number;
  caSha256: string;
  token: string;
}

export function formatJoinString({ host, port, caSha256, token }: JoinString): string {
  return `wherry://${host}:${port}#ca=sha256:${caSha256}&t=${token}`;
}

/** Undefined when the text is not a join string. */
export function parseJoinString(text: string): JoinString | undefined {
  const match =
    /^wherry:\/\/([^/:#]+|\[[0-9a-f:]+\]):([0-9]{1,5})#ca=sha256:([0-9a-f]{64})&t=([A-Za-z0-9_-]{16,128})$/.exec(
      text,
    );
  if (!match) return undefined;
  const [, host = '', port = '', caSha256 = '', token = ''] = match;
  return { host, port: Number(port), caSha256, token };
}

export const enrolRequestSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['v', 'token', 'csr', 'name', 'board', 'platform'],
  properties: {
    v: { const: 1 },
    token: { type: 'string', maxLength: 128 },
    /** PKCS#10, PEM. */
    csr: { type: 'string', maxLength: 8192 },
    /** Wished device id; the server may add a suffix when it is taken. */
    name: {
      type: 'string',
      pattern: '^[a-z0-9](?:[a-z0-9-]{0,52}[a-z0-9])?$',
      description: 'lower-case letters, digits and "-", at most 54',
    },
    board: { type: 'string', maxLength: 63 },
    platform: { enum: ['linux/amd64', 'linux/arm64'] },
  },
} as const;
export type EnrolRequest = FromSchema<typeof enrolRequestSchema>;

export const enrolResponseSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['v', 'device', 'tenant', 'certificate', 'ca', 'fleetKey', 'mqtt'],
  properties: {
    v: { const: 1 },
    device: { type: 'string', maxLength: 63 },
    tenant: { type: 'string', maxLength: 63 },
    /** PEM: the client certificate, and the CA that signs the server's. */
    certificate: { type: 'string', maxLength: 16_384 },
    ca: { type: 'string', maxLength: 16_384 },
    /** SPKI PEM of the ed25519 key that signs assignments. */
    fleetKey: { type: 'string', maxLength: 1024 },
    mqtt: {
      type: 'object',
      additionalProperties: false,
      required: ['host', 'port'],
      properties: {
        host: { type: 'string', maxLength: 253 },
        port: { type: 'integer', minimum: 1, maximum: 65535 },
      },
    },
  },
} as const;
export type EnrolResponse = FromSchema<typeof enrolResponseSchema>;

export const checkEnrolRequest = validator<EnrolRequest>(enrolRequestSchema);
export const checkEnrolResponse = validator<EnrolResponse>(enrolResponseSchema);
