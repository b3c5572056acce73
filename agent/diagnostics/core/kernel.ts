import { type Finding, fail, ok, together, warn } from './finding.ts';

export interface KernelFacts {
  release: string;
  /** Of /proc/self/ns. */
  namespaces: string[];
  /** user.max_user_namespaces; undefined where the kernel does not say. */
  maxUserNamespaces: number | undefined;
  /** Of /proc/filesystems, and those whose module can be loaded. */
  fileSystems: string[];
  hasSeccomp: boolean;
  hasPressure: boolean;
  /** Undefined when it cannot be told: not root, or no nft. */
  hasNftables: boolean | undefined;
}

const NAMESPACES = ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup', 'user'];
const FILE_SYSTEMS = { overlay: 'CONFIG_OVERLAY_FS', erofs: 'CONFIG_EROFS_FS', tmpfs: 'CONFIG_TMPFS' };

const use = (option: string): string => `use a kernel that is built with ${option}`;

export function judgeKernel(facts: KernelFacts): Finding {
  const { namespaces, fileSystems, maxUserNamespaces, hasSeccomp, hasPressure, hasNftables } = facts;
  const findings: Finding[] = [];
  const spaces = NAMESPACES.filter((name) => !namespaces.includes(name));
  if (spaces.length > 0)
    findings.push(
      fail(`The kernel has no ${spaces.join(', ')} namespaces`, use('CONFIG_NAMESPACES and its kinds')),
    );
  if (maxUserNamespaces === 0)
    findings.push(
      fail('User namespaces are switched off', 'set the sysctl user.max_user_namespaces to 15000 or more'),
    );
  for (const [name, option] of Object.entries(FILE_SYSTEMS))
    if (!fileSystems.includes(name))
      findings.push(fail(`The kernel has no ${name}`, `${use(option)}, or install its modules`));
  if (!hasSeccomp) findings.push(fail('The kernel has no seccomp filters', use('CONFIG_SECCOMP_FILTER')));
  if (hasNftables === false)
    findings.push(fail('The kernel has no nftables', `${use('CONFIG_NF_TABLES')}, or install its modules`));
  if (!hasPressure)
    findings.push(
      warn(
        'The kernel does not measure pressure (PSI): load is shed by heat and voltage only',
        'add "psi=1" to the kernel command line and reboot, or use a kernel with CONFIG_PSI',
      ),
    );
  if (findings.length > 0) return together(findings);
  const nftables =
    hasNftables === undefined ? '; whether it has nftables cannot be told without root' : ', nftables';
  return ok(`Linux ${facts.release}: namespaces, overlay, EROFS, seccomp, PSI${nftables}`);
}

export type CgroupFacts = { version: 1 | 2 } | { version: undefined; missing: string[]; commandLine: string };

/** Whether services can be held to budgets at all. */
export function judgeCgroups(facts: CgroupFacts): Finding {
  if (!('missing' in facts))
    return facts.version === 2
      ? ok('cgroup v2 with memory, cpu and pids')
      : ok('cgroup v1 with memory, cpu and pids; memory.high, memory.min and pressure need cgroup v2');
  const { missing, commandLine } = facts;
  const off = /\bcgroup_disable=[\w,]*memory/.test(commandLine)
    ? '; the kernel command line says cgroup_disable=memory'
    : '';
  return fail(
    `The kernel offers no cgroup controller for ${missing.join(', ')}${off}: no service can be held to its budget`,
    missing.includes('memory')
      ? 'add "cgroup_enable=memory cgroup_memory=1" to the one line of /boot/firmware/cmdline.txt (Raspberry Pi) or to ' +
          'the kernel command line, and reboot'
      : 'mount cgroup2 at /sys/fs/cgroup, or use a kernel that is built with them',
  );
}
