import type { AgentStatus } from '../local-api/ports.ts';
import { checks } from './checks/index.ts';
import type { Diagnosis } from './core/finding.ts';
import { examine } from './doctor.ts';
import { localHost } from './host.ts';
import { openPatient } from './patient.ts';
import { pluginChecks, pluginFolder } from './plugins.ts';
import { readConfig } from './read-config.ts';

/** All checks together, the slow reading of images included. */
const WHOLE_MS = 75_000;
const QUICK_MS = 20_000;

export interface DiagnoseOptions {
  configFile: string;
  isQuick: boolean;
  /** A string = why it does not answer. */
  agent: AgentStatus | string;
  signal: AbortSignal;
  onProgress?: (check: string, text: string) => void;
  /** Root of the machine's own files: tests have another. */
  root?: string;
}

/** One visit of the doctor to this device. */
export async function diagnose(options: DiagnoseOptions): Promise<Diagnosis> {
  const { configFile, isQuick, agent, signal, onProgress = () => undefined, root } = options;
  const { config, fault: configFault } = readConfig(configFile);
  const patient = await openPatient({ host: localHost(root), config, configFault, configFile, agent });
  return examine({
    checks: [...checks(isQuick), ...pluginChecks(pluginFolder(configFile))],
    patient,
    limitMs: isQuick ? QUICK_MS : WHOLE_MS,
    signal,
    onProgress,
    monotonic: () => performance.now(),
  });
}
