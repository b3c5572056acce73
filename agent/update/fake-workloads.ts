import type { DesiredServices } from '../supervisor/service-spec.ts';
import type { WorkloadHealth, Workloads } from './ports.ts';

/** Converges at once; a test says which release is ill. */
export class FakeWorkloads implements Workloads {
  readonly applied: DesiredServices[] = [];
  /** Versions that fail. */
  readonly ill = new Set<string>();

  get desired(): DesiredServices | undefined {
    return this.applied.at(-1);
  }

  apply(desired: DesiredServices): void {
    this.applied.push(desired);
  }

  health(): WorkloadHealth {
    const isIll = this.ill.has(this.desired?.release?.version ?? '');
    return {
      isConverged: !isIll,
      isFailed: isIll,
      unhealthy: isIll ? [{ service: 'web', message: 'crash-looping' }] : [],
    };
  }
}
