import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { Owned } from '../../agent/supervisor/network/core/state.ts';
import type { ServiceSpec } from '../../agent/supervisor/service-spec.ts';
import { serviceSpec } from './service-specs.ts';

/** What processes in the namespaces of an instance's services would see, and what the kernel counts of them. */
export function networkProbes({ netns, table }: Pick<Owned, 'netns' | 'table'>) {
  const enter = (service: string): string => `--net=/run/netns/${netns}.${service}`;
  const inside = (service: string, ...args: string[]): { status: number | null; stdout: string } =>
    spawnSync('nsenter', [enter(service), 'timeout', '4', 'busybox', ...args], { encoding: 'utf8' });
  return {
    inside,
    /** Resolves with what the sink says once it has all. */
    send: (service: string, bytes: number, to: string): Promise<string> => {
      const source = `head -c ${bytes} /dev/zero | timeout 20 busybox nc ${to} 99`;
      return new Promise((resolve) => {
        execFile('nsenter', [enter(service), 'sh', '-c', source], (_error, stdout) => resolve(stdout));
      });
    },
    ask: (service: string, address: string, port: number): string =>
      inside(service, 'nc', '-w', '1', address, String(port)).stdout.trim(),
    pings: (service: string, address: string): boolean =>
      inside(service, 'ping', '-c', '1', '-W', '1', address).status === 0,
    counter: (family: string, name: string): number =>
      Number(/packets (\d+)/.exec(run('nft', ['list', 'counter', family, table, name]))?.[1]),
    /** Of the last rule of a chain. */
    lastHandle: (chain: string): string =>
      /# handle (\d+)\n\t}\n}/.exec(run('nft', ['-a', 'list', 'chain', 'inet', table, chain]))?.[1] ?? '',
  };
}

/** Of a server that answers once all has come: what it does with a socket. */
export const sinkOf = (bytes: number): string =>
  `{ let n = 0; socket.on('data', (data) => { n += data.length; if (n === ${bytes}) socket.end('all'); }); }`;

export const run = (program: string, args: string[]): string =>
  execFileSync(program, args, { encoding: 'utf8' });

export function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

/** Children of this process that listen to nftables. */
export const ourMonitors = (): string[] =>
  readdirSync('/proc').filter(
    (pid) =>
      /^\d+$/.test(pid) && commandOf(pid) === 'nft\0monitor\0' && parentOf(pid) === String(process.pid),
  );

const parentOf = (pid: string): string | undefined =>
  readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[1];

export const hostAsks = (address: string, port: number): string =>
  spawnSync('timeout', ['3', 'busybox', 'nc', '-w', '1', address, String(port)], {
    encoding: 'utf8',
  }).stdout.trim();

/** IPv4 addresses of the host on links that lead somewhere. */
export const hostAddresses = (): string[] =>
  (
    JSON.parse(run('ip', ['-j', '-4', 'addr', 'show', 'scope', 'global', 'up'])) as {
      ifname?: string;
      addr_info: { local: string }[];
    }[]
  )
    .filter(({ ifname }) => ifname !== undefined && !ifname.startsWith('wh') && !ifname.startsWith('docker'))
    .flatMap(({ addr_info }) => addr_info.map(({ local }) => local));

export const on = (name: string, aliases: string[] = [], isInternal = false) => ({
  name,
  aliases,
  isInternal,
});
type Parts = Parameters<typeof serviceSpec>[1];
/** A service on segments. */
export const member = (name: string, segments: ServiceSpec['segments'], parts: Parts = {}): ServiceSpec =>
  serviceSpec(name, { network: 'segments', segments, ...parts });

/** Its port 80, published. */
export const port = (host: number, own?: string) => ({
  host,
  container: 80,
  protocol: 'tcp' as const,
  ...(own && { address: own }),
});
