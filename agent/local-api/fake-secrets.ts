import { secretFault } from '../supervisor/secrets/secret-store.ts';
import type { SecretAnswer, SecretShown } from './answers.ts';
import type { Secrets } from './ports.ts';

/** Secrets in memory: tests set what is wanted, and read `kept` and `changes` back. */
export class FakeSecrets implements Secrets {
  readonly kept = new Map<string, string>();
  /** Services by the secret that they want. */
  wanted: Record<string, string[]> = {};
  readonly changes: string[] = [];

  async list(): Promise<SecretShown[]> {
    const names = new Set([...this.kept.keys(), ...Object.keys(this.wanted)]);
    return [...names]
      .sort()
      .map((name) => ({ name, isHere: this.kept.has(name), services: this.wanted[name] ?? [] }));
  }

  async put(name: string, content: Uint8Array, who: string): Promise<SecretAnswer | { refused: string }> {
    const refused = secretFault(name, content);
    if (refused !== undefined) return { refused };
    this.kept.set(name, Buffer.from(content).toString());
    this.changes.push(`${who} put ${name}`);
    return { secret: name, result: 'put', services: this.wanted[name] ?? [] };
  }

  async remove(name: string, who: string): Promise<SecretAnswer | { refused: string }> {
    const refused = secretFault(name);
    if (refused !== undefined) return { refused };
    const result = this.kept.delete(name) ? 'removed' : 'absent';
    this.changes.push(`${who} removed ${name}`);
    return { secret: name, result, services: this.wanted[name] ?? [] };
  }
}
