import type { Change } from '../../chaos/chaos-state.ts';
import type { AgentStatus } from '../../local-api/ports.ts';
import type { Call } from '../command.ts';
import type { ChaosCheck } from '../core/chaos.ts';

/** What an experiment acts on. */
export interface ChaosBench {
  call: Call;
  stateDir: string;
  /** How the device was before. */
  before: AgentStatus;
  /** Of the experiments that take one. */
  service: string | undefined;
  /** How long a state that is held is held, and how long the device may take to be whole again, ms. */
  forMs: number;
  withinMs: number;
  places: ChaosPlaces;
  /** Notes durably what is about to be changed. */
  note(change: Change): Promise<void>;
  check(check: ChaosCheck): void;
  /** Asks the agent until `met` gives something, and checks that it did in time. Undefined when it did not. */
  until<T>(what: string, met: (status: AgentStatus) => T | undefined): Promise<T | undefined>;
  /** Waits, and checks meanwhile that the agent answers and services run on. */
  hold(what: string): Promise<void>;
}

/** Resolves when what was changed may be taken back; what it throws is a fault of the experiment, not of the device. */
export type Experiment = (bench: ChaosBench) => Promise<void>;

/** Where the machine tells what it is, and where its power is cut. */
export interface ChaosPlaces {
  boardFile: string;
  developmentMarker: string;
  sysrq: string;
  sysrqTrigger: string;
}

export const CHAOS_PLACES: ChaosPlaces = {
  boardFile: '/usr/lib/wherry/board.json',
  developmentMarker: '/usr/lib/wherry/development',
  sysrq: '/proc/sys/kernel/sysrq',
  sysrqTrigger: '/proc/sysrq-trigger',
};
