import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ociSpec, type Placement } from '../../agent/supervisor/runtime/oci-spec.ts';
import { DEBIAN_RUNTIMES, openRuntime } from '../../agent/supervisor/runtime/runtime-program.ts';
import type { ServiceSpec } from '../../agent/supervisor/service-spec.ts';

export interface Ran {
  exitCode: number;
  output: string;
}

/** Runs a service's program to its end under an OCI runtime alone, without conmon: what ociSpec says is all it gets. */
export function runContainer(
  runtime: 'crun' | 'runc',
  dir: string,
  spec: ServiceSpec,
  place: Placement,
): Promise<Ran> {
  const bundle = join(dir, 'bundles', runtime, spec.name);
  mkdirSync(bundle, { recursive: true });
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(ociSpec(spec, place)));
  const { program } = openRuntime(DEBIAN_RUNTIMES, runtime, dir);
  const id = `wherry-iso-${process.pid}-${runtime}-${spec.name}`;
  const args = [`--root=${join(dir, 'oci')}`, 'run', '--bundle', bundle, id];
  return new Promise((resolve) => {
    const child = execFile(program, args, { timeout: 30_000 }, (error, stdout, stderr) =>
      resolve({
        exitCode: typeof error?.code === 'number' ? error.code : error ? -1 : 0,
        output: stdout + stderr,
      }),
    );
    child.stdin?.end();
  });
}
