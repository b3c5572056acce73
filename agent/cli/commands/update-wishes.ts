import { resolve } from 'node:path';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { BY, byOf, FOR, forMsOf } from '../hold-options.ts';
import { clockTime } from '../timestamp.ts';

export const updateApply: Command = {
  name: 'update apply',
  summary: 'take a release from an offline bundle',
  description:
    'Takes the release that wherry release export wrote, from a stick or another read-only medium, on a device in a ' +
    'fleet or in none. It is verified like one from the server: the release keys must have signed it, whose root the ' +
    'device was given. What the bundle lacks comes from the server. Its next assignment takes over again. Without a ' +
    'folder it looks for the one bundle on sticks and mounted media; a removable partition that is not mounted is ' +
    'mounted read-only for as long as it is read.',
  operands: ['folder?'],
  options: BY,
  examples: [
    { command: 'sudo wherry update apply /media/stick/bundle', what: 'from a stick' },
    { command: 'sudo wherry update apply', what: 'from the stick that is plugged in' },
    { command: 'wherry update status', what: 'what becomes of it' },
  ],
  run: apply,
};

export const updateConsent: Command = {
  name: 'update consent',
  summary: 'agree to the release on its way',
  description:
    'Says yes to the release on its way, for a device whose releases ask for that. It holds for this release only. ' +
    'Windows, leases and power may still hold it: the answer is in wherry update status.',
  operands: [],
  options: BY,
  examples: [{ command: 'wherry update consent', what: 'agree' }],
  run: consent,
};

export const updateDefer: Command = {
  name: 'update defer',
  summary: 'put the release on its way off for a time',
  description:
    'Keeps the release on its way from taking over for a time of at most seven days, and no longer than its policy ' +
    'allows. The download goes on. Put off again, the newer time counts. An urgent release is not put off.',
  operands: [],
  options: { ...FOR, ...BY },
  examples: [{ command: 'wherry update defer --for 2h', what: 'not in the next two hours' }],
  run: defer,
};

export const updateRollback: Command = {
  name: 'update rollback',
  summary: 'go back to the release before, without a network',
  description:
    'Takes the release in force back to the one before, from this disk. The one left is remembered as bad here, so ' +
    'that the server does not bring it back. A release that is still on its way is put off instead.',
  operands: [],
  options: BY,
  examples: [
    { command: 'wherry update status', what: 'what a rollback goes back to' },
    { command: 'wherry update rollback', what: 'go back' },
  ],
  run: rollback,
};

async function apply(call: Call): Promise<number> {
  const [given] = call.operands;
  const by = byOf(call, updateApply);
  if (given === undefined || given.startsWith('/dev/')) {
    // Most devices never look for a stick.
    const { applyFromMedia } = await import('../media/apply-from-media.ts');
    return wished(call, await applyFromMedia(call, by, given), 'taken');
  }
  // The agent's working folder is another one.
  return wished(call, await call.client.wish('apply', { by, folder: resolve(given) }), 'taken');
}

async function consent(call: Call): Promise<number> {
  return wished(call, await call.client.wish('consent', { by: byOf(call, updateConsent) }), 'agreed to');
}

async function defer(call: Call): Promise<number> {
  const body = { by: byOf(call, updateDefer), forMs: forMsOf(call, updateDefer) };
  return wished(call, await call.client.wish('defer', body), 'put off');
}

async function rollback(call: Call): Promise<number> {
  const body = { by: byOf(call, updateRollback) };
  return wished(call, await call.client.wish('rollback', body), 'going back to it');
}

async function wished(
  { isJson, print, printJson, say }: Call,
  answer: Awaited<ReturnType<Call['client']['wish']>>,
  what: string,
): Promise<number> {
  const { release, result, until, root } = answer;
  if (isJson) await printJson(answer);
  else await print([`${release}: ${what}${until === undefined ? '' : ` until ${clockTime(until)}`}`]);
  if (result === 'held') await say('The disk does not take it yet: it counts once the disk does');
  if (root) await say(`It is taken if the keys of root ${root.version} signed it, sha256 ${root.sha256}`);
  await say('See what comes of it: wherry update status');
  return EXIT.ok;
}
