import { pbkdf2Sync } from 'node:crypto';
import type { Wifi } from '../../protocol/wherry-json.ts';

/**
 * Configuration of wpa_supplicant(8). Name and key are written as hex digits: neither can leave its field, whatever a
 * person has typed. IEEE 802.11-2020 J.4.1: the key is PBKDF2 of the passphrase, 4096 rounds, salted with the name.
 */
export function wpaSupplicantConf({ ssid, passphrase, country }: Wifi): string {
  const name = Buffer.from(ssid);
  const key =
    passphrase === undefined
      ? 'key_mgmt=NONE'
      : `psk=${pbkdf2Sync(passphrase, name, 4096, 32, 'sha1').toString('hex')}`;
  return `ctrl_interface=/run/wpa_supplicant
country=${country}
network={
\tssid=${name.toString('hex')}
\tscan_ssid=1
\t${key}
}
`;
}
