import type { ServiceSpec } from '../service-spec.ts';
import { ALLOWED_CALLS, CALLS_OF_CAPABILITY, REFUSED_CALLS } from './seccomp-calls.ts';

/** runtime-spec 1.0.2, "Seccomp". */
interface Rule {
  names: string[];
  action: 'SCMP_ACT_ALLOW' | 'SCMP_ACT_ERRNO';
  errnoRet?: number;
  args?: { index: number; op: string; value: number; valueTwo?: number }[];
}
export interface SeccompProfile {
  defaultAction: 'SCMP_ACT_ERRNO';
  defaultErrnoRet: number;
  architectures: string[];
  syscalls: Rule[];
}

const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

/**
 * 32-bit ARM programs run on 64-bit boards. 32-bit x86 ones do not: libseccomp cannot see the family of a socket that
 * is made with their socketcall, which any 64-bit program could call as well. The kernel ends who tries.
 */
const ARCHITECTURES: Record<string, string[]> = {
  x64: ['SCMP_ARCH_X86_64'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
};

/** linux/sched.h: mount, cgroup, uts, ipc, user, pid and network namespace. */
const NAMESPACE_FLAGS = [
  0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000,
];
/** The time namespace: a flag to unshare only, for clone the bit is part of the exit signal. */
const CLONE_NEWTIME = 0x80;
/** unix, inet, inet6, netlink, packet (which wants CAP_NET_RAW), can. */
const SOCKET_FAMILIES = [1, 2, 10, 16, 17, 29];
/** rds, pppox, llc, tipc, bluetooth, alg, vsock, kcm, qipcrtr, smc, xdp: told as kernels without them tell it. */
const REFUSED_FAMILIES = [21, 24, 26, 30, 31, 38, 40, 41, 42, 43, 44];
/** PER_LINUX and PER_LINUX32, each with UNAME26; all ones asks what it is. */
const PERSONALITIES = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/**
 * linux/futex.h without FUTEX_REQUEUE 3 and FUTEX_CMP_REQUEUE 4: between processes they could move the waits of a
 * channel's readers away. With the private flag they stay within one process, and C libraries use them.
 */
const FUTEX_OPERATIONS = [0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13];
const FUTEX_PRIVATE_REQUEUES = [0x83, 0x84];

/**
 * Who is on a channel may not take pages out of it, which the memory of another service is as well: FALLOC_FL_PUNCH_HOLE
 * (linux/falloc.h) and MADV_REMOVE (asm-generic/mman-common.h).
 */
const PUNCH_HOLE = 0x02;
const MADV_REMOVE = 9;

/**
 * The filter of a service: what is not listed does not exist (ENOSYS, so that libraries fall back), what is known to
 * be dangerous is not permitted (EPERM). `undefined` when the manifest drops it. Throws on an unknown architecture.
 */
export function seccompOf({ security, channels }: ServiceSpec, arch: string): SeccompProfile | undefined {
  if (security.seccomp === 'unconfined') return undefined;
  const architectures = ARCHITECTURES[arch];
  if (architectures === undefined)
    throw new Error(`Cannot write a seccomp profile: architecture is ${arch}; x64 and arm64 are known`);
  const held = security.capabilities.map((name) => (name.startsWith('CAP_') ? name : `CAP_${name}`));
  const opened = new Set([
    ...held.flatMap((name) => CALLS_OF_CAPABILITY[name] ?? []),
    ...(held.includes('CAP_SYS_ADMIN') ? ['clone'] : []),
    ...(security.syscalls ?? []),
  ]);
  const channelRules = channels === undefined ? [] : keepingPages();
  const bound = new Set(channelRules.flatMap(({ names }) => names));
  const known = [...Object.values(CALLS_OF_CAPABILITY).flat(), ...REFUSED_CALLS];
  // clone3 hides its flags behind a pointer, so libraries must fall back to clone; unshare has rules by argument.
  const denied = [...new Set(known)].filter(
    (name) => !opened.has(name) && name !== 'clone3' && name !== 'unshare',
  );
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: ENOSYS,
    architectures,
    syscalls: [
      ...Object.values(ALLOWED_CALLS).map((names) =>
        allow([...names].filter((name) => !opened.has(name) && !bound.has(name))),
      ),
      // A rule without arguments and one with them must not meet on one call: what is opened loses its others.
      ...[...byArguments(), ...channelRules].filter(({ names: [name = ''] }) => !opened.has(name)),
      ...(opened.size > 0 ? [allow([...opened].sort())] : []),
      refuse(denied.sort(), EPERM),
    ].filter(({ names }) => names.length > 0),
  };
}

const allow = (names: string[]): Rule => ({ names, action: 'SCMP_ACT_ALLOW' });
const refuse = (names: string[], errnoRet: number): Rule => ({ names, action: 'SCMP_ACT_ERRNO', errnoRet });
const equal = (value: number): Rule['args'] => [{ index: 0, op: 'SCMP_CMP_EQ', value }];
const masked = (index: number, mask: number, is: number): Rule['args'] => [
  { index, op: 'SCMP_CMP_MASKED_EQ', value: mask, valueTwo: is },
];

/** One condition a rule: runc ORs several on one argument where crun ANDs them. */
function byArguments(): Rule[] {
  const rules: { rule: Rule; args: Rule['args'] }[] = [
    ...withoutNamespaces('clone', NAMESPACE_FLAGS),
    ...withoutNamespaces('unshare', [...NAMESPACE_FLAGS, CLONE_NEWTIME]),
    ...PERSONALITIES.map((value) => ({ rule: allow(['personality']), args: equal(value) })),
    ...SOCKET_FAMILIES.map((family) => ({ rule: allow(['socket']), args: equal(family) })),
    ...REFUSED_FAMILIES.map((family) => ({ rule: refuse(['socket'], EAFNOSUPPORT), args: equal(family) })),
    ...['futex', 'futex_time64'].flatMap((name) => [
      ...FUTEX_OPERATIONS.map((operation) => ({ rule: allow([name]), args: masked(1, 0x7f, operation) })),
      ...FUTEX_PRIVATE_REQUEUES.map((operation) => ({
        rule: allow([name]),
        args: masked(1, 0xff, operation),
      })),
      ...[3, 4].map((operation) => ({ rule: refuse([name], EPERM), args: masked(1, 0xff, operation) })),
    ]),
  ];
  return rules.map(({ rule, args }) => ({ ...rule, ...(args && { args }) }));
}

function keepingPages(): Rule[] {
  const advice = { index: 2, value: MADV_REMOVE };
  return [
    { ...allow(['fallocate']), args: masked(1, PUNCH_HOLE, 0) ?? [] },
    { ...refuse(['fallocate'], EPERM), args: masked(1, PUNCH_HOLE, PUNCH_HOLE) ?? [] },
    { ...allow(['madvise']), args: [{ ...advice, op: 'SCMP_CMP_NE' }] },
    { ...refuse(['madvise'], EPERM), args: [{ ...advice, op: 'SCMP_CMP_EQ' }] },
  ];
}

function withoutNamespaces(name: string, flags: number[]): { rule: Rule; args: Rule['args'] }[] {
  const all = flags.reduce((sum, flag) => sum + flag, 0);
  return [
    { rule: allow([name]), args: masked(0, all, 0) },
    ...flags.map((flag) => ({ rule: refuse([name], EPERM), args: masked(0, flag, flag) })),
  ];
}
