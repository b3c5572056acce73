import type { FromSchema } from 'json-schema-to-ts';
import { parseJoinString } from './enrolment.ts';
import { type Validated, validator } from './validate.ts';

/**
 * `wherry.json` on a board's first partition: what somebody writes there, in an image that is the same for all. Read at
 * each boot while it differs from what was taken before.
 */
export const wherryJsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['name'],
  properties: {
    /** Wished device id. */
    name: {
      type: 'string',
      pattern: '^[a-z0-9](?:[a-z0-9-]{0,52}[a-z0-9])?$',
      description: 'lower-case letters, digits and "-"',
    },
    /** Join string: where to enrol. The device removes it once it has; without it, it joins no fleet. */
    server: { type: 'string', maxLength: 1024 },
    wifi: {
      type: 'object',
      additionalProperties: false,
      required: ['ssid', 'country'],
      properties: {
        ssid: { type: 'string', minLength: 1, maxLength: 32 },
        /** Of WPA2; absent for an open network. IEEE 802.11-2020 J.4.1: 8 to 63 printable ASCII characters. */
        passphrase: { type: 'string', minLength: 8, maxLength: 63 },
        /** Whose rules the radio keeps. */
        country: { type: 'string', pattern: '^[A-Z]{2}$', description: 'two letters such as DE' },
      },
    },
  },
} as const;

export type WherryJson = FromSchema<typeof wherryJsonSchema>;
export type Wifi = NonNullable<WherryJson['wifi']>;

export const WHERRY_JSON_BYTES = 16 * 1024;
const SSID_BYTES = 32;

const check = validator<WherryJson>(wherryJsonSchema);

export function parseWherryJson(text: string): Validated<WherryJson> {
  if (text.length > WHERRY_JSON_BYTES)
    return { ok: false, faults: [`it has more than ${WHERRY_JSON_BYTES} bytes`] };
  let document: unknown;
  try {
    // Windows' editor may put a byte order mark before it.
    document = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    // Not the parser's own words: they quote what stands there, which may be a secret.
    const [at = ''] = / at position [0-9]+/.exec(String(error)) ?? [];
    return { ok: false, faults: [`it is not JSON${at}`] };
  }
  const checked = check(document);
  if (!checked.ok) return checked;
  const { server, wifi } = checked.value;
  const faults: string[] = [];
  if (server !== undefined && !parseJoinString(server))
    faults.push('server is no join string; wanted wherry://host:port#ca=sha256:<hex>&t=<token>');
  if (wifi && new TextEncoder().encode(wifi.ssid).length > SSID_BYTES)
    faults.push(`wifi.ssid has more than ${SSID_BYTES} bytes`);
  if (!/^[ -~]*$/.test(wifi?.passphrase ?? ''))
    faults.push('wifi.passphrase has characters beyond printable ASCII');
  return faults.length > 0 ? { ok: false, faults } : checked;
}
