import { summaryOf } from '../../protocol/post-mortem.ts';
import type { Reason } from '../../protocol/reasons.ts';
import type { ServiceStatus } from '../../protocol/status.ts';
import type { Capsule, CapsuleSummary } from '../supervisor/postmortem/capsule.ts';
import { FakeBundleDesk } from './fake-bundle.ts';
import { FakeChannelDesk } from './fake-channels-view.ts';
import { FakeEvents, FakeNet } from './fake-events.ts';
import { FakeExecDesk } from './fake-exec.ts';
import { FakeHolds } from './fake-holds.ts';
import { FakeEnrolment, FakePlans } from './fake-plans.ts';
import { FakeSecrets } from './fake-secrets.ts';
import { FakeLeases, FakeUpdates } from './fake-updates.ts';
import type { Inspection } from './inspection.ts';
import type { AgentStatus, AgentView, LogLine, LogQuery } from './ports.ts';

/** An agent that is data: tests set the fields and read what was asked for back. */
export class FakeAgentView implements AgentView {
  agentStatus: AgentStatus;
  reasons: Record<string, Reason[]> = {};
  inspections: Record<string, Inspection> = {};
  kept: Capsule[] = [];
  readonly channels = new FakeChannelDesk();
  readonly secrets = new FakeSecrets();
  readonly bundle = new FakeBundleDesk();
  readonly exec = new FakeExecDesk((service) => this.#find(service));
  readonly leases = new FakeLeases();
  readonly updates = new FakeUpdates(this.leases);
  readonly holds = new FakeHolds(
    (service) => this.#find(service) !== undefined,
    (service) => this.#find(service)?.state === 'running',
  );
  readonly events = new FakeEvents();
  readonly net = new FakeNet();
  readonly plans = new FakePlans();
  readonly enrolment = new FakeEnrolment();
  /** What any service wrote in the run before the last one. */
  previousRun: LogLine[] = [];
  /** What has changed when somebody looks again. */
  onSample: () => void = () => undefined;
  /** How many log lines readers have taken in all: shows back-pressure. */
  linesTaken = 0;
  readonly followers = new Set<AbortSignal>();
  readonly #lines = new Map<string, LogLine[]>();
  readonly #waiting = new Set<() => void>();

  constructor(status: AgentStatus) {
    this.agentStatus = status;
  }

  write(service: string, ...lines: LogLine[]): void {
    this.#linesOf(service).push(...lines);
    for (const wake of this.#waiting) wake();
  }

  version(): string {
    return this.agentStatus.agent.version;
  }

  status(): AgentStatus {
    return this.agentStatus;
  }

  sample(): Promise<void> {
    this.onSample();
    return Promise.resolve();
  }

  why(service: string): Reason[] | undefined {
    return this.reasons[service] ?? (this.#find(service) ? [] : undefined);
  }

  inspect(service: string): Promise<Inspection | undefined> {
    return Promise.resolve(this.inspections[service]);
  }

  capsules(): CapsuleSummary[] {
    return this.kept.map(summaryOf);
  }

  capsule(id: string): Capsule | undefined {
    return this.kept.find((capsule) => capsule.id === id);
  }

  logs(service: string, query: LogQuery): AsyncIterable<LogLine> | undefined {
    return this.#find(service) && this.#read(this.#linesOf(service), query);
  }

  async *#read(
    all: LogLine[],
    { tail, follow, sinceMs = 0, previous = false, signal }: LogQuery,
  ): AsyncGenerator<LogLine> {
    if (follow) this.followers.add(signal);
    try {
      const first = all.findIndex(({ at }) => at >= sinceMs);
      const lines = previous ? this.previousRun : all;
      let next = Math.max(0, lines.length - tail, previous ? 0 : first < 0 ? all.length : first);
      while (!signal.aborted) {
        const line = lines[next];
        if (line) {
          next++;
          this.linesTaken++;
          yield line;
        } else if (follow) await this.#change(signal);
        else return;
      }
    } finally {
      this.followers.delete(signal);
    }
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  #linesOf(service: string): LogLine[] {
    const lines = this.#lines.get(service) ?? [];
    this.#lines.set(service, lines);
    return lines;
  }

  #find(service: string): ServiceStatus | undefined {
    return this.agentStatus.services.find(({ name }) => name === service);
  }
}
