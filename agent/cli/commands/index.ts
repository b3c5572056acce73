import type { Command } from '../command.ts';
import { restart, start, stop } from './by-hand.ts';
import {
  chaosCutNetwork,
  chaosExhaustMemory,
  chaosFillDisk,
  chaosKillAgent,
  chaosKillService,
  chaosPowerCut,
  chaosReport,
  chaosUndo,
} from './chaos.ts';
import { completion } from './completion.ts';
import { configCheck, configShow } from './config.ts';
import { doctor } from './doctor.ts';
import { enrol } from './enrol.ts';
import { events } from './events.ts';
import { exec } from './exec.ts';
import { help } from './help.ts';
import { inspect } from './inspect.ts';
import { ipcList, ipcTop } from './ipc.ts';
import { ipcTap } from './ipc-tap.ts';
import { leaseRelease, leaseShow, leaseTake } from './lease.ts';
import { logs } from './logs.ts';
import { net } from './net.ts';
import { plan, updateCheck } from './plan.ts';
import { postmortemList, postmortemShow } from './postmortem.ts';
import { ps } from './ps.ts';
import { secretList, secretPut, secretRemove } from './secret.ts';
import { status } from './status.ts';
import { supportBundle } from './support-bundle.ts';
import { top } from './top.ts';
import { updateHistory, updateStatus } from './update.ts';
import { updateApply, updateConsent, updateDefer, updateRollback } from './update-wishes.ts';
import { version } from './version.ts';
import { why } from './why.ts';

/** Device commands in the order of the help. */
export const COMMANDS: Command[] = [
  status,
  ps,
  top,
  logs,
  why,
  inspect,
  events,
  net,
  exec,
  ipcList,
  ipcTop,
  ipcTap,
  postmortemList,
  postmortemShow,
  stop,
  start,
  restart,
  doctor,
  supportBundle,
  updateStatus,
  updateCheck,
  updateHistory,
  plan,
  updateApply,
  updateConsent,
  updateDefer,
  updateRollback,
  leaseTake,
  leaseShow,
  leaseRelease,
  secretPut,
  secretList,
  secretRemove,
  configShow,
  configCheck,
  enrol,
  chaosKillService,
  chaosKillAgent,
  chaosFillDisk,
  chaosCutNetwork,
  chaosExhaustMemory,
  chaosPowerCut,
  chaosReport,
  chaosUndo,
  version,
  completion,
  help,
];
