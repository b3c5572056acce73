/** Ids 0 to size-1 of a container are hostBase and up on the machine. */
export interface IdRange {
  hostBase: number;
  size: number;
  /** Groups that are the machine's own in the container too: of volumes whose ids are not mapped. */
  keptGids?: readonly number[];
}

/** A device node made ready on the machine, to be bound into the container. */
export interface PlacedDevice {
  source: string;
  target: string;
  isWritable: boolean;
  kind: 'c' | 'b';
  major: number;
  minor: number;
}

/** OCI runtime-spec 1.0.2, `hooks`: a program and when it runs. `timeout` in seconds. */
export interface Hook {
  hookName: string;
  path: string;
  args?: string[];
  env?: string[];
  timeout?: number;
}

export const HOOK_NAMES: ReadonlySet<string> = new Set([
  'prestart',
  'createRuntime',
  'createContainer',
  'startContainer',
  'poststart',
  'poststop',
]);

/** Where the parts of a container are on this machine. What is optional is absent where the service has none. */
export interface Placement {
  rootfs: string;
  cgroupsPath: string;
  volumePath: (volume: string) => string;
  /** Without it the kernel cannot bound memory and swap together, and runtimes refuse the setting. */
  hasSwapAccounting: boolean;
  /** Network namespace to enter. */
  netns?: string | undefined;
  /** File with the name servers of its segments. */
  resolvConf?: string | undefined;
  /** Its user namespace; absent = the machine's ids. */
  ids?: IdRange | undefined;
  /** A sysfs with nothing mounted below it, to be shared where a fresh one cannot be had. */
  sysfs?: string | undefined;
  devices?: readonly PlacedDevice[] | undefined;
  /** Folder with a file for each secret of the service, named like the secret. */
  secretsDir?: string | undefined;
  /** Folder in which the service says that it is busy. */
  leaseDir?: string | undefined;
  /** Folder with a folder for each channel, by its id. */
  channelsDir?: string | undefined;
  /** What CDI devices bring beside their nodes: `NAME=value`, bind mounts, and programs that make them ready. */
  environment?: readonly string[] | undefined;
  hooks?: readonly Hook[] | undefined;
  mounts?: readonly { source: string; target: string; options: readonly string[] }[] | undefined;
}
