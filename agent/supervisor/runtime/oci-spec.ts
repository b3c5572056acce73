import type { ServiceSpec } from '../service-spec.ts';

/** Where the parts of a container are on this machine. */
export interface Placement {
  rootfs: string;
  cgroupsPath: string;
  volumePath: (volume: string) => string;
  /** Without it the kernel cannot bound memory and swap together, and runtimes refuse the setting. */
  hasSwapAccounting: boolean;
}

const CPU_PERIOD_USEC = 100_000;
const TMP_BYTES = 16 * 1024 * 1024;
const SHM_BYTES = 1024 * 1024;
/** Above the agent's, so that the kernel's last resort takes a service first. Raising needs no privilege. */
const OOM_SCORE_ADJ = 300;

const MASKED = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/dev/block',
];
const READ_ONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** config.json of the bundle. OCI runtime-spec 1.0.2. */
export function ociSpec(spec: ServiceSpec, place: Placement): object {
  return {
    ociVersion: '1.0.2',
    annotations: { 'wherry.service': spec.name, 'wherry.spec': spec.digest },
    hostname: spec.name,
    root: { path: place.rootfs, readonly: spec.security.readOnlyRoot },
    process: processOf(spec),
    mounts: [...systemMounts(spec), ...volumeMounts(spec, place)],
    linux: {
      cgroupsPath: place.cgroupsPath,
      namespaces: namespacesOf(spec),
      resources: resourcesOf(spec, place),
      maskedPaths: MASKED,
      readonlyPaths: READ_ONLY,
    },
  };
}

/** Folders that must exist in the root filesystem before anything can be mounted over them. */
export const mountPoints = (spec: ServiceSpec): string[] => [
  '/proc',
  '/sys',
  '/dev',
  ...(spec.security.readOnlyRoot ? ['/tmp'] : []),
  ...spec.mounts.map(({ path }) => path),
];

function processOf(spec: ServiceSpec): object {
  const capabilities = spec.security.capabilities.map((name) =>
    name.startsWith('CAP_') ? name : `CAP_${name}`,
  );
  return {
    terminal: false,
    user: {
      uid: spec.uid,
      gid: spec.gid,
      additionalGids: [...new Set(spec.mounts.map(({ gid }) => gid))].filter((gid) => gid !== spec.gid),
    },
    args: spec.args,
    env: Object.entries(spec.environment).map(([name, value]) => `${name}=${value}`),
    cwd: spec.workingDir,
    noNewPrivileges: true,
    oomScoreAdj: OOM_SCORE_ADJ,
    rlimits: [{ type: 'RLIMIT_NOFILE', soft: 1024, hard: 4096 }],
    // Ambient too: without it a process that is not root would lose them at exec.
    capabilities: {
      bounding: capabilities,
      permitted: capabilities,
      effective: capabilities,
      inheritable: capabilities,
      ambient: capabilities,
    },
  };
}

/** An own network namespace is empty: the runtime brings up nothing but the loopback. */
const namespacesOf = (spec: ServiceSpec): object[] =>
  ['pid', 'mount', 'uts', 'ipc', 'cgroup', ...(spec.network === 'none' ? ['network'] : [])].map((type) => ({
    type,
  }));

function resourcesOf(spec: ServiceSpec, { hasSwapAccounting }: Placement): object {
  const { memoryMaxBytes, cpuMax, pidsMax } = spec.resources;
  return {
    devices: [{ allow: false, access: 'rwm' }],
    memory: { limit: memoryMaxBytes, ...(hasSwapAccounting && { swap: memoryMaxBytes }) },
    cpu: { quota: Math.round(cpuMax * CPU_PERIOD_USEC), period: CPU_PERIOD_USEC },
    pids: { limit: pidsMax },
  };
}

const tmpfs = (destination: string, options: string[]): object => ({
  destination,
  type: 'tmpfs',
  source: 'tmpfs',
  options: ['nosuid', 'nodev', ...options],
});

function systemMounts(spec: ServiceSpec): object[] {
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'noexec', 'strictatime', 'mode=755', 'size=64k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
    },
    tmpfs('/dev/shm', ['noexec', 'mode=1777', `size=${SHM_BYTES}`]),
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    sysMount(spec),
    ...(spec.security.readOnlyRoot ? [tmpfs('/tmp', ['mode=1777', `size=${TMP_BYTES}`])] : []),
  ];
}

/** The kernel lets a fresh sysfs be mounted only by the owner of the network namespace; a shared one is bound. */
const sysMount = ({ network }: ServiceSpec): object =>
  network === 'none'
    ? { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] }
    : {
        destination: '/sys',
        type: 'none',
        source: '/sys',
        options: ['rbind', 'nosuid', 'noexec', 'nodev', 'ro'],
      };

const volumeMounts = (spec: ServiceSpec, { volumePath }: Placement): object[] =>
  spec.mounts.map(({ volume, path, readOnly }) => ({
    destination: path,
    type: 'bind',
    source: volumePath(volume),
    options: ['bind', 'nosuid', 'nodev', 'noexec', readOnly ? 'ro' : 'rw'],
  }));
