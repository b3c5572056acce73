import type { CgroupUsage } from '../ports.ts';
import { readKeys, readValue } from './cgroup-files.ts';
import { parsePressure } from './pressure.ts';

type Pressures = Pick<CgroupUsage, 'memoryPressure' | 'ioPressure' | 'cpuPressure'>;

/** PSI of a cgroup2 folder with processes in it; empty where the kernel does not count it. */
export function readPressures(folder: string): Pressures {
  if (readKeys(folder, 'cgroup.events')['populated'] !== 1) return {};
  const of = (file: string) => parsePressure(readPressure(folder, file));
  const [memoryPressure, ioPressure, cpuPressure] = [
    of('memory.pressure'),
    of('io.pressure'),
    of('cpu.pressure'),
  ];
  return {
    ...(memoryPressure && { memoryPressure }),
    ...(ioPressure && { ioPressure }),
    ...(cpuPressure && { cpuPressure }),
  };
}

/** Kernels that count pressure only on request ("psi=1") have the files but fail to read them: EOPNOTSUPP. */
function readPressure(folder: string, file: string): string {
  try {
    return readValue(folder, file) ?? '';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EOPNOTSUPP') return '';
    throw error;
  }
}
