import type { AgentImage } from '../self-update/agent-image.ts';
import type { AgentShelf, PlacedAgent } from './ports.ts';

/** Keeps what is asked of it; a test says what the disk does. */
export class FakeAgentShelf implements AgentShelf {
  readonly running: string;
  failed: string | undefined;
  readonly placed: string[] = [];
  readonly held: { id: string; isTrial: boolean }[] = [];
  beats = 0;
  /** What the disk says to the next writes. */
  fault: Error | undefined;

  constructor(running = 'shipped') {
    this.running = running;
  }

  async place({ id }: AgentImage): Promise<PlacedAgent> {
    if (this.fault) throw this.fault;
    this.placed.push(id);
    return { ok: true };
  }

  hold(wanted: { id: string; isTrial: boolean }): boolean {
    if (this.fault) throw this.fault;
    this.held.push(wanted);
    this.failed = undefined;
    return wanted.id !== this.running;
  }

  beat(): void {
    if (this.fault) throw this.fault;
    this.beats++;
  }

  async collect(): Promise<void> {}
}
