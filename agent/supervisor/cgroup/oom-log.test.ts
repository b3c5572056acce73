import { expect, test } from 'vitest';
import { oomKillOf } from './oom-log.ts';

const LINE =
  'oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=hog,mems_allowed=0,' +
  'oom_memcg=/wherry-a/services,task_memcg=/wherry-a/services/hog,task=sh, pid=1,pid=4763,uid=1000\n';

test('an OOM kill names the process, even one with a misleading name, and its cgroup', () => {
  expect(oomKillOf(`6,2651,7774881500,-;${LINE}`, 0, 1_000_000)).toEqual({
    task: 'sh, pid=1',
    pid: 4763,
    cgroup: '/wherry-a/services/hog',
    at: 1_000_000 + 7_774_882,
  });
});

test('other lines, older ones and those that user space wrote are no kill', () => {
  expect(oomKillOf('6,2652,7774881600,-;wlan0: link up\n', 0, 0)).toBeUndefined();
  expect(oomKillOf(`6,2651,7774881500,-;${LINE}`, 7_774_881_501, 0)).toBeUndefined();
  expect(oomKillOf(`14,2651,7774881500,-;${LINE}`, 0, 0)).toBeUndefined();
  expect(oomKillOf('', 0, 0)).toBeUndefined();
});
