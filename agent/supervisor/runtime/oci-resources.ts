import type { ServiceSpec } from '../service-spec.ts';

const CPU_PERIOD_USEC = 100_000;

export interface KernelFeatures {
  /** Without it the kernel cannot bound memory and swap together, and runtimes refuse the setting. */
  hasSwapAccounting: boolean;
}

/**
 * `linux.resources` of a container but for its devices (OCI runtime-spec 1.0.2, config-linux): what must hold from
 * the runtime's first process on. CgroupTree.apply writes the rest of the budget before the service's own program runs.
 */
export function ociResources(resources: ServiceSpec['resources'], { hasSwapAccounting }: KernelFeatures) {
  const { memoryMaxBytes, swapMaxBytes = 0, cpuMax, pidsMax } = resources;
  return {
    // runtime-spec: `swap` is the limit of memory and swap together, on cgroup v2 too.
    memory: { limit: memoryMaxBytes, ...(hasSwapAccounting && { swap: memoryMaxBytes + swapMaxBytes }) },
    cpu: { quota: Math.round(cpuMax * CPU_PERIOD_USEC), period: CPU_PERIOD_USEC },
    pids: { limit: pidsMax },
  };
}
