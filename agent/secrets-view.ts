import type { PatientLedger } from './ledger/patient-ledger.ts';
import type { SecretAnswer } from './local-api/answers.ts';
import type { Secrets } from './local-api/ports.ts';
import type { Clock } from './supervisor/ports.ts';
import { type SecretStore, secretFault } from './supervisor/secrets/secret-store.ts';
import type { DesiredServices } from './supervisor/service-spec.ts';
import type { Supervisor } from './supervisor/supervisor.ts';

export interface SecretsParts {
  store: SecretStore;
  desired(): DesiredServices;
  supervisor: Pick<Supervisor, 'tryAgain'>;
  outbox: Pick<PatientLedger['outbox'], 'add'>;
  clock: Pick<Clock, 'now'>;
}

/** The `secrets` of the local API. Each change is an event, by name and person, never by content. */
export function secretsView({ store, desired, supervisor, outbox, clock }: SecretsParts): Secrets {
  const wanted = (): Map<string, string[]> => {
    const services = new Map<string, string[]>();
    for (const spec of desired().services)
      for (const { name } of spec.secrets ?? [])
        services.set(name, [...new Set([...(services.get(name) ?? []), spec.name])]);
    return services;
  };
  const tell = (code: 'secret.put' | 'secret.removed', message: string): void =>
    outbox.add({ kind: 'device', code, message, at: clock.now() });
  const answer = (secret: string, result: SecretAnswer['result']): SecretAnswer => ({
    secret,
    result,
    services: wanted().get(secret) ?? [],
  });
  return {
    list: async () => {
      const here = new Set(await store.list());
      const services = wanted();
      const names = [...new Set([...here, ...services.keys()])].sort();
      return names.map((name) => ({ name, isHere: here.has(name), services: services.get(name) ?? [] }));
    },
    put: async (name, content, who) => {
      const refused = secretFault(name, content);
      if (refused !== undefined) return { refused };
      await store.put(name, content);
      tell('secret.put', `${who} put the secret "${name}"`);
      supervisor.tryAgain('wait.secret');
      return answer(name, 'put');
    },
    remove: async (name, who) => {
      const refused = secretFault(name);
      if (refused !== undefined) return { refused };
      if (!(await store.remove(name))) return answer(name, 'absent');
      tell('secret.removed', `${who} removed the secret "${name}"`);
      return answer(name, 'removed');
    },
  };
}
