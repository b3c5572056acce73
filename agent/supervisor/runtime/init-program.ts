import { isExecutable, runtimeError } from './runtime-program.ts';

/** Where Debian's `catatonit` and `podman` put it; it is static, so it runs in any root filesystem. */
const PLACES = ['/usr/libexec/catatonit/catatonit', '/usr/bin/catatonit', '/usr/libexec/podman/catatonit'];
/** In the container's own /dev, so that a read-only root needs no mount point for it. */
const INSIDE = '/dev/init';

interface Config {
  process: { args: string[] };
  mounts: object[];
}

/** A config.json whose process 1 is a small init: it reaps orphans and passes signals on. */
export function withInit<T extends object>(config: T, places: readonly string[] = PLACES): T {
  const source = places.find(isExecutable);
  if (source === undefined) {
    throw runtimeError(
      'Cannot give the service an init process: catatonit is not installed; install the package "catatonit"',
    );
  }
  const { process, mounts } = config as unknown as Config;
  const mount = { destination: INSIDE, type: 'bind', source, options: ['bind', 'ro', 'nosuid', 'nodev'] };
  return {
    ...config,
    process: { ...process, args: [INSIDE, '--', ...process.args] },
    mounts: [...mounts, mount],
  };
}
