import { spawn } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { loadIdentity } from '../../enrolment/identity.ts';
import { CliError } from '../errors.ts';
import type { ChaosBench } from './experiment.ts';

/** Of our own: whatever else filters this machine's packets stays as it is. */
const TABLE = 'wherry_chaos';

/** Drops every packet between this device and its fleet server, and none else: a technician's session goes on. */
export async function cutNetwork({ stateDir, note, check, hold }: ChaosBench): Promise<void> {
  const identity = await loadIdentity(join(stateDir, 'identity'));
  if (identity === undefined)
    throw new CliError('chaos-failed', 'Cannot cut the network: this device is in no fleet');
  const ends = [identity.mqtt, ...(identity.https ? [identity.https] : [])];
  const rules = (await Promise.all(ends.map(rulesFor))).flat();
  await note({ kind: 'rules', table: TABLE });
  await nft(`add table inet ${TABLE}
delete table inet ${TABLE}
table inet ${TABLE} {
  chain out { type filter hook output priority -50; ${rules.map(({ out }) => out).join('; ')}; }
  chain in { type filter hook input priority -50; ${rules.map(({ back }) => back).join('; ')}; }
}
`);
  check({
    what: `nothing passes to ${ends.map(({ host, port }) => `${host}:${port}`).join(' and ')}`,
    ok: true,
  });
  await hold('the agent answers and services run without the server');
}

async function rulesFor({
  host,
  port,
}: {
  host: string;
  port: number;
}): Promise<{ out: string; back: string }[]> {
  const found = await lookup(host.replace(/^\[|\]$/g, ''), { all: true }).catch(() => []);
  return found.map(({ address }) => {
    const family = isIPv6(address) ? 'ip6' : 'ip';
    return {
      out: `${family} daddr ${address} tcp dport ${port} drop`,
      back: `${family} saddr ${address} tcp sport ${port} drop`,
    };
  });
}

function nft(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('nft', ['-f', '-'], { stdio: ['pipe', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (part) => {
      said += part;
    });
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0
        ? resolve()
        : reject(new CliError('chaos-failed', `Cannot cut the network: nft says ${said.trim()}`)),
    );
    child.stdin.end(text);
  });
}
