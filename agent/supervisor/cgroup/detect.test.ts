import { describe, expect, test } from 'vitest';
import { cgroupLayout, missingText } from './detect.ts';

const v1 = (name: string): string => `33 31 0:30 / /sys/fs/cgroup/${name} rw - cgroup cgroup rw,${name}`;

describe('a machine', () => {
  const v2 = '30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate';

  test('with cgroup2 and its controllers is version 2', () => {
    expect(cgroupLayout(v2, () => ['cpu', 'memory', 'pids', 'io'])).toEqual({
      version: 2,
      root: '/sys/fs/cgroup',
    });
  });

  test('with the controllers in version 1 is version 1, joint mounts included', () => {
    const layout = cgroupLayout([v1('memory'), v1('cpu,cpuacct'), v1('pids'), v2].join('\n'), () => []);
    expect(layout).toMatchObject({ version: 1, mounts: { cpu: '/sys/fs/cgroup/cpu,cpuacct' } });
  });

  test('whose kernel has the memory controller off is told what to do', () => {
    const layout = cgroupLayout(v2, () => ['cpu', 'pids']);
    expect(layout).toEqual({ version: undefined, missing: ['memory'] });
    expect(missingText(['memory'])).toContain('cgroup_enable=memory');
  });
});
