import type { PatientLedger } from './ledger/patient-ledger.ts';
import type { HoldShown } from './local-api/answers.ts';
import type { HandRequest, HoldDesk } from './local-api/hold-port.ts';
import { byHand } from './supervisor/core/record.ts';
import { HOLD_DEFAULT_MS, type HoldInForce, holdText } from './supervisor/core/service-hold.ts';
import type { Clock } from './supervisor/ports.ts';
import type { HoldEvent, ServiceHolds } from './supervisor/service-holds.ts';
import type { DesiredServices } from './supervisor/service-spec.ts';
import type { Supervisor } from './supervisor/supervisor.ts';

export interface HoldDeskParts {
  holds: ServiceHolds;
  supervisor: Pick<Supervisor, 'halt' | 'launch' | 'restart' | 'statuses'>;
  desired(): DesiredServices;
  ledger: Pick<PatientLedger, 'faults'> & { outbox: Pick<PatientLedger['outbox'], 'add'> };
  clock: Pick<Clock, 'now'>;
}

/** The `holds` of the local API. What is asked of a service is an event, whether it runs or not. */
export function holdDesk({ holds, supervisor, desired, ledger, clock }: HoldDeskParts): HoldDesk {
  const isDesired = (service: string): boolean => desired().services.some(({ name }) => name === service);
  const isUp = (service: string): boolean =>
    supervisor.statuses().some(({ name, state }) => name === service && state === 'running');
  const event = (code: HoldEvent['code'], service: string, did: string, why?: string): HoldEvent => ({
    kind: 'service',
    service,
    code,
    message: byHand(did, why),
    at: clock.now(),
  });
  const start = (service: string, { who, why }: HandRequest): 'accepted' | 'running' => {
    const started = event('start.by-hand', service, `${who} started it`, why);
    const wasHeld = holds.end(service, started);
    if (isUp(service)) {
      supervisor.halt(service);
      return 'running';
    }
    if (!wasHeld) ledger.outbox.add(started);
    supervisor.launch(service, who, why);
    return 'accepted';
  };
  return {
    stop: (service, { who, why, forMs = HOLD_DEFAULT_MS }) => {
      if (!isDesired(service)) return 'unknown-service';
      const { until } = holds.take(service, { by: who, why, forMs });
      supervisor.halt(service);
      const dependants = desired()
        .services.filter(({ dependsOn = {} }) => service in dependsOn)
        .map(({ name }) => name);
      const isUnsaved = ledger.faults().length > 0;
      return { service, result: 'held', until, dependants, ...(isUnsaved && { isUnsaved }) };
    },
    start: (service, request) =>
      isDesired(service) ? { service, result: start(service, request) } : 'unknown-service',
    restart: (service, { who, why }) => {
      if (!isDesired(service)) return 'unknown-service';
      const hold = holds.inForce().get(service);
      if (hold)
        return { refused: `Cannot restart "${service}": ${holdText(hold)}; start it when that is done` };
      const wasUp = isUp(service);
      const result = supervisor.restart(service, who, why);
      if (result === 'unknown-service') return result;
      // Of one that runs the stop tells.
      if (!wasUp) ledger.outbox.add(event('start.operator', service, `${who} restarted it`, why));
      return { service, result };
    },
    of: (service) => {
      const hold = holds.inForce().get(service);
      return hold && shown(hold);
    },
  };
}

const shown = ({ by, why, at, endsAt }: HoldInForce): HoldShown => ({
  by,
  ...(why && { why }),
  since: at,
  until: endsAt,
});
