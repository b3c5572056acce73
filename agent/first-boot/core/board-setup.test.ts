import { expect, test } from 'vitest';
import { boardSetup, type SetupFacts } from './board-setup.ts';

const JOIN = 'wherry://fleet:1#ca=sha256:00&t=secret';
const fresh: SetupFacts<object> = {
  wishes: { name: 'boat-1', server: JOIN },
  root: 'signed root',
  held: { config: undefined, root: undefined },
  board: { board: { name: 'qemu-virt' }, stateDir: '/var/lib/wherry' },
  isEnrolled: false,
};

test('the first boot gives the agent its name, where to enrol, and the root of its trust', () => {
  expect(boardSetup(fresh)).toEqual({
    kind: 'set',
    config: { ...fresh.board, name: 'boat-1', join: JOIN },
    root: 'signed root',
    withoutSecret: undefined,
    notes: [],
  });
});

test('a board without a root of trust is refused, with what to put where', () => {
  expect(boardSetup({ ...fresh, root: undefined })).toEqual({
    kind: 'refused',
    what: expect.stringContaining('1.root.json'),
  });
});

test('once enrolled the secret leaves both files, and the rest stays', () => {
  const held = { config: { ...fresh.board, name: 'boat-1', join: JOIN }, root: 'signed root' };
  const wishes = { ...fresh.wishes, wifi: { ssid: 'x', country: 'DE' } };
  const setup = boardSetup({ ...fresh, wishes, held, isEnrolled: true });
  expect(setup).toMatchObject({
    config: { ...fresh.board, name: 'boat-1' },
    withoutSecret: { name: 'boat-1', wifi: wishes.wifi },
  });
  expect(JSON.stringify(setup)).not.toContain('secret');
});

test('what was written into the configuration by hand stays; the board is what its image says', () => {
  const held = { config: { mirrors: ['http://depot'], board: { name: 'older' } }, root: 'signed root' };
  expect(boardSetup({ ...fresh, held })).toMatchObject({
    config: { mirrors: ['http://depot'], board: { name: 'qemu-virt' } },
  });
});

test('another root on the card changes nothing of what is trusted, and is told', () => {
  const held = { config: {}, root: 'signed root' };
  expect(boardSetup({ ...fresh, root: 'a forged root', held })).toMatchObject({
    root: undefined,
    notes: [expect.stringContaining('is not used')],
  });
});

test('a board without a server is told to join no fleet', () => {
  const setup = boardSetup({ ...fresh, wishes: { name: 'boat-1' } });
  expect(setup).toMatchObject({ notes: [expect.stringContaining('joins no fleet')] });
  expect(setup).not.toHaveProperty('config.join');
});
