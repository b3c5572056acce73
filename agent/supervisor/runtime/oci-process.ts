import { serviceOf } from '../instance-name.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { CHANNELS_FOLDER } from './oci-mounts.ts';

/** Above the agent's, so that the kernel's last resort takes a service first. Raising needs no privilege. */
const OOM_SCORE_ADJ = 300;
const OPEN_FILES = { soft: 1024, hard: 4096 };

/** `process` of config.json. OCI runtime-spec 1.0.2. */
export function processOf(spec: ServiceSpec, moreEnvironment: readonly string[] = []): object {
  const capabilities = spec.security.capabilities.map((name) =>
    name.startsWith('CAP_') ? name : `CAP_${name}`,
  );
  const { openFiles } = spec.resources;
  const files = openFiles === undefined ? OPEN_FILES : { soft: openFiles, hard: openFiles };
  return {
    terminal: false,
    user: {
      uid: spec.uid,
      gid: spec.gid,
      additionalGids: [...new Set(spec.mounts.map(({ gid }) => gid))].filter((gid) => gid !== spec.gid),
    },
    args: spec.args,
    env: [
      ...Object.entries(spec.environment).map(([name, value]) => `${name}=${value}`),
      ...channelEnvironment(spec),
      ...moreEnvironment,
    ],
    cwd: spec.workingDir,
    noNewPrivileges: spec.security.newPrivileges !== true,
    oomScoreAdj: OOM_SCORE_ADJ,
    rlimits: [{ type: 'RLIMIT_NOFILE', ...files }],
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

/** What the channel libraries look for. */
const channelEnvironment = ({ name, channels = [] }: ServiceSpec): string[] =>
  channels.length === 0 ? [] : [`WHERRY_IPC_DIR=${CHANNELS_FOLDER}`, `WHERRY_SERVICE=${serviceOf(name)}`];
