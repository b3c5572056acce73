// Says which agent is to run, in a process that can be cut: node agent-hold-child.ts ORDER
import { AgentFolder } from '../../agent/self-update/agent-folder.ts';

export interface HoldOrder {
  folder: string;
  running: string;
  wanted: { id: string; isTrial: boolean };
}

const { folder, running, wanted } = JSON.parse(process.argv[2] ?? '') as HoldOrder;
const blobs = { pathOf: () => '', freeBytes: async () => 0 };
new AgentFolder({ folder, mountDir: `${folder}-mounts`, running, blobs }).hold(wanted);
