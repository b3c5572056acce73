import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeAgentView } from '../local-api/fake-agent-view.ts';
import { fakeChannels, fakeMessage } from '../local-api/fake-channels-view.ts';
import { fakeCapsule, fakeInspection, fullStatus } from '../local-api/fake-documents.ts';
import { fakeEvents, fakeNet } from '../local-api/fake-events.ts';
import { fakeCheck, fakePlan } from '../local-api/fake-plan-documents.ts';
import { fakeService, NOW } from '../local-api/fake-status.ts';
import { fakePastUpdates, fakeServiceLease, fakeUpdate } from '../local-api/fake-update-documents.ts';
import { serveLocalApi } from '../local-api/server.ts';
import type { Command } from './command.ts';
import { fakeBoard } from './fake-board.ts';
import { operandOf } from './operands.ts';

const JOIN = `wherry://fleet.example:7441#ca=sha256:${'ab'.repeat(32)}&t=notasecretinatest`;

/** Arguments by the name of the operand; a folder has no bundle in it. */
const OPERANDS: Record<string, string> = {
  id: fakeCapsule.id,
  shell: 'bash',
  command: 'status',
  join: JOIN,
  release: 'offered',
};

/** Options without which a command does not run, or does not end. */
const REQUIRED: Record<string, string[]> = {
  'update defer': ['--for', '2h'],
  top: ['--once', '--interval', '500ms'],
  'ipc top': ['--count', '1', '--interval', '100ms'],
  'lease take': ['--for', '2h', '--why', 'x'],
};

/** A device whose every document has every field, and the words that make each command do its work there. */
export async function openFullDevice() {
  const folder = await mkdtemp(join(tmpdir(), 'wherry-every-'));
  const socket = join(folder, 'agent.sock');
  const config = join(folder, 'agent.json');
  await writeFile(config, JSON.stringify(configOf(folder)));
  const status = fullStatus();
  status.services.push(fakeService('camera'));
  const view = new FakeAgentView(status);
  fill(view);
  const api = await serveLocalApi({ view, socketPath: socket, onError: () => {} });
  const argvOf = ({ name, operands, rest }: Command): string[] => [
    ...name.split(' '),
    // "web" is a WebAssembly module there, in which nothing else is run.
    ...operands.map(operandOf).map(({ name: each }) => (rest ? 'camera' : argumentOf(each, folder))),
    ...(REQUIRED[name] ?? []),
    ...(name === 'support-bundle' ? ['-o', join(folder, 'bundle.txt')] : []),
    '--socket',
    socket,
    '--config',
    config,
    ...(rest ? ['--', 'true'] : []),
  ];
  return {
    folder,
    view,
    argvOf,
    agentDown: () => api.close(),
    close: async () => {
      await api.close();
      await rm(folder, { recursive: true });
    },
  };
}

function argumentOf(name: string, folder: string): string {
  if (name === 'file') return join(folder, 'agent.json');
  return OPERANDS[name] ?? 'web';
}

function fill(view: FakeAgentView): void {
  view.reasons = { web: [view.agentStatus.services[0]?.reason ?? []].flat() };
  view.inspections = { web: fakeInspection };
  view.kept = [fakeCapsule];
  view.holds.held.set('web', { by: 'ada', why: 'x', since: NOW, until: NOW + 1 });
  view.holds.dependants = { web: ['sensor'] };
  view.holds.isUnsaved = true;
  view.events.kept = [{ ...fakeEvents[0], service: 'web' } as (typeof fakeEvents)[number]];
  view.net.shown = fakeNet;
  const { incoming } = fakeUpdate;
  const urgent = { by: 'grace' };
  view.updates.shown = { ...fakeUpdate, incoming: { ...incoming, policy: { ...incoming.policy, urgent } } };
  view.updates.past = fakePastUpdates;
  view.leases.held = [fakeServiceLease];
  view.channels.looks = [fakeChannels(0)];
  view.channels.messages = { web: [fakeMessage()] };
  view.secrets.wanted = { web: ['web'] };
  view.write('web', { at: NOW, stream: 'stdout', text: 'x' });
  const refused = { code: 'refused.metadata-expired', message: 'x', at: NOW };
  // What no single answer has: the fields of all of them.
  view.plans.checked = {
    ...fakeCheck,
    metadata: { ...fakeCheck.metadata, ...refused } as typeof fakeCheck.metadata,
    link: { ...fakeCheck.link, detail: 'x' },
  };
  view.plans.planned = fakePlan;
}

const configOf = (folder: string) => ({
  name: 'boathouse-1',
  board: fakeBoard,
  stateDir: join(folder, 'state'),
  runDir: join(folder, 'run'),
  socket: join(folder, 'agent.sock'),
  trustRoot: join(folder, 'root.json'),
  join: JOIN,
});
