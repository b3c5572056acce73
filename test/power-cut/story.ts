import type { AssignmentEnvelope } from '../../protocol/assignment.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { type TestLayer, type TestRelease, TestRepository } from '../support/test-repository.ts';

/** One thing that happens to a device, and what it settles at. Data: it is done in another process, and again after each cut. */
export interface Step {
  title: string;
  /** What the server has by now. */
  objects: Map<string, Buffer>;
  /** The newest assignment; the server sends it again to whoever comes back. */
  envelope: AssignmentEnvelope;
  /** Offered in this step, or was before. */
  isOffered: boolean;
  /** Versions whose services do not stay well. */
  ill: string[];
  /** The source gives this many chunks of blobs and then nothing, until the download is called off. */
  stallsAfter?: number;
  /** Hand of somebody at the device. */
  hand?:
    | 'roll-back'
    | 'take-lease'
    | 'release-lease'
    | 'stop-by-hand'
    | 'start-by-hand'
    | 'apply-stick'
    | 'put-secret'
    | 'remove-secret';
  stick?: Stick;
  secret?: { name: string; content?: string };
  /** Leaves this much of the disk free, with a file of somebody else's; -1 gives it back. */
  freeBytes?: number;
  /** The step ends in this phase, with this version in force. */
  phase: string;
  version: string | undefined;
  /** What a device cut in this step comes to, with the network there. */
  final: { version: string; phases: string[] };
}

/** An offline bundle. */
export interface Stick {
  release: { name: string; version: string; manifest: string };
  objects: Map<string, Buffer>;
}

export interface Scenario {
  name: string;
  factoryRoot: string;
  fleetKey: string;
  /** Versions of agents that do not come up; absent: no release brings one, and bin/choose-agent is not asked. */
  illAgents?: string[];
  /** Versions of systems whose kernel does not come up; absent: the device has no slots. */
  illSystems?: string[];
  steps: Step[];
}

type Change = Partial<Omit<Step, 'objects'>> & Pick<Step, 'title' | 'phase' | 'version'>;

/** Takes down what the repository holds at each step. */
export class Story {
  readonly repository = new TestRepository();
  readonly scenario: Scenario;
  /** The server is asked for no more than this; undefined: for everything. */
  served: Map<string, Buffer> | undefined;
  #envelope: AssignmentEnvelope | undefined;
  #generation = 0;

  constructor(name: string) {
    const { factoryRoot, fleetKeyPem: fleetKey } = this.repository;
    this.scenario = { name, factoryRoot, fleetKey, steps: [] };
  }

  /** Publishes a version over the layers and assigns it. */
  release(version: string, layers: TestLayer[], change: Partial<Manifest> = {}): this {
    const release = this.publish(version, layers, change);
    this.#envelope = this.repository.assign(release, { generation: ++this.#generation });
    return this;
  }

  publish(version: string, layers: TestLayer[], change: Partial<Manifest> = {}): TestRelease {
    return this.repository.publish(version, layers, { policy: { soakMs: 20 }, ...change });
  }

  step(change: Change): this {
    if (!this.#envelope) throw new Error('Cannot add a step: nothing is assigned yet');
    const { version, phase } = change;
    this.scenario.steps.push({
      objects: this.served ?? new Map(this.repository.objects),
      envelope: this.#envelope,
      isOffered: true,
      ill: [],
      final: { version: version ?? '', phases: [phase] },
      ...change,
    });
    return this;
  }
}
