import type { AgentStatus } from '../../local-api/ports.ts';
import { formatDuration } from './duration.ts';

export interface ChaosCheck {
  what: string;
  ok: boolean;
  /** How long it took; absent where that says nothing. */
  ms?: number;
  /** What was wrong, in one sentence. */
  detail?: string;
}

export interface ChaosReport {
  experiment: string;
  passed: boolean;
  /** Unix ms. */
  startedAt: number;
  tookMs: number;
  checks: ChaosCheck[];
}

/** Markers of a machine: a board of ours has the first, a development image the second too. */
export interface BoardMarkers {
  isBoard: boolean;
  isDevelopment: boolean;
}

/** Why chaos may not be had here; undefined when it may. What a person says counts where no marker does. */
export function chaosRefusal({ isBoard, isDevelopment }: BoardMarkers, saysSo: boolean): string | undefined {
  if (isDevelopment) return undefined;
  if (isBoard) return 'this board runs a production image; build it with --variant development';
  return saysSo
    ? undefined
    : 'this machine is no board of which that is known; if it is one to be broken, say so with --yes-this-is-a-development-board';
}

/** What keeps a device from being as well as it was; undefined when nothing does. */
export function notWhole(now: AgentStatus, before: AgentStatus): string | undefined {
  for (const { name, state, health } of before.services) {
    const seen = now.services.find((service) => service.name === name);
    if (seen === undefined) return `${name} is gone`;
    if (seen.state !== state) return `${name} is ${seen.state.replace('_', ' ')}`;
    if (health?.state === 'healthy' && seen.health?.state !== 'healthy') return `${name} is not healthy`;
  }
  if (before.link.state === 'connected' && now.link.state !== 'connected')
    return `the link is ${now.link.state}`;
  const known = new Set((before.health.faults ?? []).map(({ code }) => code));
  const fault = (now.health.faults ?? []).find(({ code }) => !known.has(code));
  return fault && fault.message;
}

/** What is not well before anything was done: an experiment would tell nothing. */
export function notWell({ services }: AgentStatus): string | undefined {
  const ill = services.find(
    ({ state, health }) =>
      !['running', 'completed', 'stopped'].includes(state) ||
      (health !== undefined && health.state !== 'healthy'),
  );
  if (services.length === 0) return 'it runs no services';
  return (
    ill && `${ill.name} is ${ill.health?.state === 'unhealthy' ? 'unhealthy' : ill.state.replace('_', ' ')}`
  );
}

/** Services that run with another process than before. */
export function changedProcesses(now: AgentStatus, before: AgentStatus, except: string[] = []): string[] {
  return before.services
    .filter(
      ({ name, pid }) => !except.includes(name) && pid !== now.services.find((s) => s.name === name)?.pid,
    )
    .map(({ name }) => name);
}

export function describeChaos({ experiment, passed, tookMs, checks }: ChaosReport): string[] {
  const lines = checks.map(({ what, ok, ms, detail }) => {
    const time =
      ms === undefined ? '' : ` after ${ms < 10_000 ? `${(ms / 1000).toFixed(1)}s` : formatDuration(ms)}`;
    return `${ok ? 'ok  ' : 'FAIL'}  ${what}${time}${detail ? `: ${detail}` : ''}`;
  });
  return [...lines, `${passed ? 'passed' : 'FAILED'}  ${experiment}, ${formatDuration(tookMs)} in all`];
}
