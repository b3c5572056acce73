import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { formatJoinString } from '../../protocol/enrolment.ts';
import { loadBoards } from '../../release/boards.ts';
import { loadConfig } from '../config.ts';
import { type BoardPlaces, firstBoot } from './first-boot.ts';
import { wpaSupplicantConf } from './wpa-supplicant.ts';

const server = formatJoinString({
  host: 'fleet.example',
  port: 7441,
  caSha256: 'ab'.repeat(32),
  token: 'secret-secret-secret',
});
const wifi = { ssid: 'IEEE', passphrase: 'password', country: 'DE' };
let dir: string;
let places: BoardPlaces;

const card = (name: string): string => join(places.firmware, name);
const held = (name: string): string => readFileSync(join(places.configDir, name), 'utf8');
const enrolled = (): void => {
  mkdirSync(join(places.stateDir, 'identity'), { recursive: true });
  writeFileSync(join(places.stateDir, 'identity/identity.json'), '{}');
};

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'wherry-first-boot-'));
  places = {
    firmware: join(dir, 'firmware'),
    configDir: join(dir, 'etc'),
    boardFile: join(dir, 'board.json'),
    stateDir: join(dir, 'state'),
  };
  for (const folder of [places.firmware, places.configDir, places.stateDir]) mkdirSync(folder);
  const boards = await loadBoards(join(import.meta.dirname, '../../board-configs'));
  writeFileSync(places.boardFile, JSON.stringify(boards.find(({ name }) => name === 'qemu-virt')));
  writeFileSync(card('wherry.json'), JSON.stringify({ name: 'boat-1', server, wifi }));
  writeFileSync(card('root.json'), 'signed root');
});
afterEach(() => rm(dir, { recursive: true }));

test('makes a configuration that the agent takes', async () => {
  expect(await firstBoot(places)).toEqual(['Took wherry.json; this board is "boat-1"']);
  const config = loadConfig(join(places.configDir, 'agent.json'));
  expect(config).toMatchObject({ name: 'boat-1', join: server, board: { name: 'qemu-virt' } });
  expect(readFileSync(config.trustRoot, 'utf8')).toBe('signed root');
  expect(statSync(join(places.configDir, 'agent.json')).mode & 0o777).toBe(0o600);
  expect(held('wpa_supplicant.conf')).toBe(wpaSupplicantConf(wifi));
});

test('leaves no secret in clear once the board is enrolled, and says so', async () => {
  await firstBoot(places);
  enrolled();
  expect(await firstBoot(places)).toEqual([
    'Enrolled: took the join secret out of wherry.json; this board is "boat-1"',
  ]);
  expect(JSON.parse(readFileSync(card('wherry.json'), 'utf8'))).toEqual({ name: 'boat-1', wifi });
  for (const name of ['agent.json', 'taken/wherry.json']) expect(held(name)).not.toContain('secret');
  expect(held('taken/wherry.json')).toBe(readFileSync(card('wherry.json'), 'utf8'));
});

test('a card that was changed is taken again: another Wi-Fi, or none', async () => {
  await firstBoot(places);
  writeFileSync(card('wherry.json'), JSON.stringify({ name: 'boat-1', server }));
  await firstBoot(places);
  expect(() => held('wpa_supplicant.conf')).toThrow('ENOENT');
});

test.each([
  ['no wherry.json', () => rmSync(card('wherry.json')), 'holds no wherry.json'],
  [
    'an unknown field',
    () => writeFileSync(card('wherry.json'), '{"name":"b","nmae":"c"}'),
    'nmae is not a known',
  ],
  ['no root of trust', () => rmSync(card('root.json')), '1.root.json'],
])('with %s nothing changes', async (_, spoil, said) => {
  spoil();
  await expect(firstBoot(places)).rejects.toThrow(said);
  expect(() => held('agent.json')).toThrow('ENOENT');
});

test('the key of a Wi-Fi is the one of the standard; no name can leave its field', () => {
  // IEEE 802.11-2020 J.4.2, first test vector.
  expect(wpaSupplicantConf(wifi)).toContain(
    '\tpsk=f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e\n',
  );
  const open = wpaSupplicantConf({ ssid: '"}\nnetwork={', country: 'DE' });
  expect(open.split('\n').filter((line) => line.includes('{'))).toEqual(['network={']);
  expect(open).toContain('\tkey_mgmt=NONE\n');
});
