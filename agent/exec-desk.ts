import type { PatientLedger } from './ledger/patient-ledger.ts';
import type { ExecDesk, ExecRefused, ExecRequest, ExecSession } from './local-api/exec-port.ts';
import type { Clock } from './supervisor/ports.ts';
import type { ContainerSessions } from './supervisor/session-port.ts';
import type { Supervisor } from './supervisor/supervisor.ts';

export interface ExecParts {
  supervisor: Pick<Supervisor, 'statuses' | 'instanceOf'>;
  sessions: ContainerSessions;
  /** The service's own user in its container; undefined for a service that nobody knows. */
  userOf(service: string): { uid: number; gid: number } | undefined;
  outbox: Pick<PatientLedger['outbox'], 'add'>;
  clock: Pick<Clock, 'now'>;
}

/** Each holds processes of the agent's and up to half a mebibyte of its memory. */
const SESSIONS = 8;
const SHOWN_CHARACTERS = 64;

/** The `exec` of the local API. */
export function execDesk(parts: ExecParts): ExecDesk {
  const open = new Set<ExecSession>();
  return {
    open: async (service, request, who) => {
      const refusal = refusalOf(parts, service, request, open.size);
      if (refusal !== undefined) return refusal;
      const { supervisor, sessions, outbox, clock } = parts;
      let session: ExecSession;
      try {
        session = await sessions.openSession(supervisor.instanceOf(service), request);
      } catch (error) {
        return { refused: error instanceof Error ? error.message : String(error), code: 'not-running' };
      }
      open.add(session);
      const message = `${who} ran ${shown(request.argv)} in it${request.terminal ? ' on a terminal' : ''}`;
      outbox.add({ kind: 'service', service, code: 'exec.opened', message, at: clock.now() });
      void session.exitCode.catch(() => undefined).then(() => open.delete(session));
      return session;
    },
  };
}

function refusalOf(
  { supervisor, userOf }: ExecParts,
  service: string,
  { argv, user }: ExecRequest,
  opened: number,
): ExecRefused | undefined {
  const program = argv[0] ?? '';
  const cannot = (code: ExecRefused['code'], fault: string): ExecRefused => ({
    code,
    refused: `Cannot run "${program}" in service "${service}": ${fault}`,
  });
  const status = supervisor.statuses().find(({ name }) => name === service);
  if (status === undefined) return cannot('unknown-service', 'the agent does not know it');
  if (status.kind === 'wasm')
    return cannot('exec-refused', 'it is a WebAssembly module, whose container has no other programs');
  const own = userOf(service);
  if (user !== undefined && own !== undefined && ![`${own.uid}`, `${own.uid}:${own.gid}`].includes(user))
    return cannot('exec-refused', `its user is ${own.uid}:${own.gid}, and nothing in it is had as another`);
  if (status.pid === undefined)
    return cannot('not-running', `it is ${status.state.replaceAll('_', ' ')}; see wherry why ${service}`);
  if (opened >= SESSIONS)
    return cannot('exec-refused', `${SESSIONS} such programs run already; end one of them`);
  return undefined;
}

/** Arguments may hold what nobody else should read: the program alone is told. */
function shown([program = '']: string[]): string {
  const text = program.replaceAll(/[\p{Cc}\p{Cf}]/gu, '?');
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}
