import { cgroupLayout } from '../../supervisor/cgroup/detect.ts';
import { parsePressure } from '../../supervisor/cgroup/pressure.ts';
import { ClockWatch } from '../../supervisor/health/clock-watch.ts';
import { readThrottled } from '../../supervisor/health/core/throttling.ts';
import { namesIn, readText } from '../../supervisor/health/small-file.ts';
import { BUILT_AT } from '../../version.ts';
import type { Check } from '../check.ts';
import { judgeMemory, judgePower, judgeTemperature, type Zone } from '../core/board.ts';
import { judgeClock } from '../core/clock.ts';
import { judgeCgroups, judgeKernel } from '../core/kernel.ts';
import type { Host } from '../host.ts';

export const clock: Check = {
  name: 'clock',
  limitMs: 10_000,
  run: async ({ patient: { host, record }, signal }) => {
    const watch = new ClockWatch({
      clock: { after: () => () => undefined },
      runProgram: (program, args) => host.run(program, args, signal),
      folder: host.at('/run'),
      arch: process.arch,
    });
    await watch.look();
    const trustedTime = record?.trustedTime ?? 0;
    return judgeClock({ now: host.now(), builtAt: BUILT_AT, trustedTime, state: watch.state() });
  },
};

export const kernel: Check = {
  name: 'kernel',
  limitMs: 10_000,
  run: async ({ patient: { host }, signal }) => {
    const read = (path: string): string | undefined => readText(host.at(path))?.trim();
    const release = read('/proc/sys/kernel/osrelease') ?? 'of unknown version';
    const spaces = read('/proc/sys/user/max_user_namespaces');
    return judgeKernel({
      release,
      namespaces: namesIn(host.at('/proc/self/ns')),
      maxUserNamespaces: spaces === undefined ? undefined : Number(spaces),
      fileSystems: [
        ...(read('/proc/filesystems') ?? '').split('\n').map((line) => line.split('\t').at(-1) ?? ''),
        ...loadable(host, release),
      ],
      hasSeccomp: /\bfilter\b|kill_process/.test(read('/proc/sys/kernel/seccomp/actions_avail') ?? ''),
      hasPressure: read('/proc/pressure/memory') !== undefined,
      hasNftables: await hasNftables(host, signal),
    });
  },
};

export const cgroups: Check = {
  name: 'cgroups',
  limitMs: 2_000,
  run: ({ patient: { host } }) => {
    const mountinfo = readText(host.at('/proc/self/mountinfo')) ?? '';
    const offered = (root: string): string[] =>
      (readText(host.at(`${root}/cgroup.controllers`)) ?? '').trim().split(' ');
    const layout = cgroupLayout(mountinfo, offered);
    if (layout.version !== undefined) return judgeCgroups({ version: layout.version });
    const commandLine = readText(host.at('/proc/cmdline')) ?? '';
    return judgeCgroups({ ...layout, commandLine });
  },
};

export const memory: Check = {
  name: 'memory',
  limitMs: 2_000,
  run: ({ patient: { host } }) => {
    const info = readText(host.at('/proc/meminfo')) ?? '';
    const kibibytes = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(info)?.[1] ?? 0) * 1024;
    const pressure = readText(host.at('/proc/pressure/memory')) ?? '';
    const full = /^full .*avg60=([\d.]+)/m.exec(pressure)?.[1];
    const kills = /^oom_kill (\d+)$/m.exec(readText(host.at('/proc/vmstat')) ?? '')?.[1];
    return judgeMemory({
      totalBytes: kibibytes('MemTotal'),
      availableBytes: kibibytes('MemAvailable'),
      pressurePercent: parsePressure(pressure) && full !== undefined ? Number(full) : undefined,
      kills: kills === undefined ? undefined : Number(kills),
    });
  },
};

export const temperature: Check = {
  name: 'temperature',
  limitMs: 2_000,
  run: ({ patient: { host } }) => judgeTemperature(zonesOf(host)),
};

export const power: Check = {
  name: 'power',
  limitMs: 2_000,
  run: ({ patient: { host, agent } }) => {
    // The agent has seen more than this moment.
    const seen = typeof agent === 'object' ? agent.health.throttling : undefined;
    const firmware = readText(host.at('/sys/devices/platform/soc/soc:firmware/get_throttled')) ?? '';
    return judgePower(seen ?? readThrottled(firmware) ?? voltageAlarm(host));
  },
};

/** The Raspberry Pi's only sign on kernels without the firmware's file. */
function voltageAlarm(host: Host) {
  const folder = host.at('/sys/class/hwmon');
  const chip = namesIn(folder).find((name) => readText(`${folder}/${name}/name`)?.trim() === 'rpi_volt');
  const alarm = chip && readText(`${folder}/${chip}/in0_lcrit_alarm`)?.trim();
  return alarm
    ? { now: alarm === '1' ? (['under-voltage'] as const).slice() : [], sinceBoot: [] }
    : undefined;
}

function zonesOf(host: Host): Zone[] {
  const folder = host.at('/sys/class/thermal');
  return namesIn(folder)
    .filter((name) => name.startsWith('thermal_zone'))
    .flatMap((zone) => {
      const read = (file: string): string | undefined => readText(`${folder}/${zone}/${file}`)?.trim();
      const celsius = Number(read('temp') ?? Number.NaN) / 1000;
      if (Number.isNaN(celsius)) return [];
      const trips = namesIn(`${folder}/${zone}`).filter((name) => /^trip_point_\d+_type$/.test(name));
      const critical = trips.find((name) => read(name) === 'critical');
      const at = critical && Number(read(critical.replace('_type', '_temp'))) / 1000;
      return [{ name: read('type') ?? zone, celsius, ...(at && { criticalCelsius: at }) }];
    });
}

/** File systems whose module the kernel can load, or that are built in without having been used. */
function loadable(host: Host, release: string): string[] {
  const modules = ['modules.dep', 'modules.builtin'].map(
    (name) => readText(host.at(`/lib/modules/${release}/${name}`)) ?? '',
  );
  const found = modules.join('\n').matchAll(/\/([a-z0-9]+)\.ko/g);
  const names: Record<string, string> = { overlay: 'overlay', erofs: 'erofs' };
  return [...found].flatMap(([, name = '']) => names[name] ?? []);
}

async function hasNftables(host: Host, signal: AbortSignal): Promise<boolean | undefined> {
  if (!host.isRoot) return undefined;
  return host.run('nft', ['list', 'tables'], signal).then(
    () => true,
    // A missing program is said by the check of programs.
    (error: { isMissing?: boolean }) => (error.isMissing ? undefined : false),
  );
}
