import { signAssignment } from '../../protocol/assignment.ts';
import { signTime } from '../../protocol/signed-time.ts';
import type { Broker } from '../broker/broker.ts';
import type { FleetKeys } from '../keys/fleet-keys.ts';
import { policyOf } from '../rollouts/policy.ts';
import type { Database } from '../store/tables.ts';

/** Between two sends to one device that did not ask by connecting. */
const RESEND_MS = 3_000;
const VALID_MS = 7 * 24 * 3_600_000;

export interface DesiredOptions {
  db: Database;
  broker: () => Pick<Broker, 'send'>;
  fleetKeys: Pick<FleetKeys, 'current' | 'changes'>;
  now: () => number;
  /** The device's socket took this generation. */
  onSent(device: string, generation: number): Promise<void>;
}

/** Tells devices what they should run: level-triggered, so a lost message is healed by the next report. */
export class Desired {
  readonly #options: DesiredOptions;
  readonly #sentAt = new Map<string, { generation: number; at: number }>();

  constructor(options: DesiredOptions) {
    this.#options = options;
  }

  /** Sends the device's assignment, if it has one and is connected. */
  async send(device: string): Promise<void> {
    const { db, broker, fleetKeys, now } = this.#options;
    const row = await db
      .selectFrom('devices')
      .innerJoin('releases', 'releases.id', 'devices.desiredReleaseId')
      .select(['board', 'desiredGeneration', 'name', 'version', 'manifestSha256', 'desiredPolicyJson'])
      .where('devices.id', '=', device)
      .executeTakeFirst();
    if (!row) return;
    const generation = row.desiredGeneration;
    const policy = policyOf(row.desiredPolicyJson);
    const envelope = signAssignment(
      {
        type: 'assignment',
        v: 1,
        device,
        board: row.board,
        generation,
        release: { name: row.name, version: row.version, manifest: row.manifestSha256 },
        issuedAt: now(),
        expiresAt: now() + VALID_MS,
        ...(policy && { policy }),
      },
      fleetKeys.current(),
      fleetKeys.changes(),
    );
    this.#sentAt.set(device, { generation, at: now() });
    const isSent = await broker().send(device, 'control', 'desired', JSON.stringify(envelope), 1);
    if (isSent) await this.#options.onSent(device, generation);
    else this.#sentAt.delete(device);
  }

  /** To every device that is connected and has an assignment, one after another. */
  async sendAll(): Promise<void> {
    const rows = await this.#options.db
      .selectFrom('devices')
      .select('id')
      .where('desiredGeneration', '>', 0)
      .execute();
    for (const { id } of rows) await this.send(id);
  }

  /** Answers a device that has no clock it can trust. */
  async tellTime(device: string, nonce: string): Promise<void> {
    const { broker, fleetKeys, now } = this.#options;
    const answer = signTime(device, nonce, now(), fleetKeys.current());
    await broker().send(device, 'control', 'time', JSON.stringify(answer), 0);
  }

  /** The device said which generation it holds: sends again when that is not the desired one. */
  async heard(device: string, generation: number): Promise<void> {
    const row = await this.#options.db
      .selectFrom('devices')
      .select('desiredGeneration')
      .where('id', '=', device)
      .executeTakeFirst();
    if (!row || row.desiredGeneration === 0 || row.desiredGeneration === generation) return;
    const sent = this.#sentAt.get(device);
    if (sent?.generation === row.desiredGeneration && this.#options.now() - sent.at < RESEND_MS) return;
    await this.send(device);
  }
}
