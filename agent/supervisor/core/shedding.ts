import { becauseOf, type Reason, type ReasonCode } from '../../../protocol/reasons.ts';
import type { Budget, DeviceStrain } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';

/** When load is shed: PSI percent, and °C. */
export interface ShedThresholds {
  memoryPressure: number;
  ioPressure: number;
  temperatureCelsius: number;
}

export const DEFAULT_THRESHOLDS: ShedThresholds = {
  memoryPressure: 40,
  ioPressure: 60,
  temperatureCelsius: 80,
};

/**
 * How far load is shed. Each level adds one act to those below it: 1 throttles the services of low criticality,
 * 2 stops them, 3 and 4 do so to normal ones, 5 and 6 to high ones. Critical ones are never touched.
 */
export interface Shedding {
  level: number;
  /** When `level` was entered, Unix ms. */
  since: number;
  /** Readings in a row over a threshold. */
  over: number;
  /** Since when every reading has been well below its threshold, Unix ms. */
  calmSince?: number | undefined;
  /** Why it is at this level. */
  reason?: Reason | undefined;
}

export type ShedEffect = 'throttled' | 'stopped' | undefined;

const READINGS_TO_ENTER = 2;
/** The kernel's pressure figures are means of ten seconds: what a level brings shows no sooner. */
const SETTLE_MS = 10_000;
const CALM_MS = 30_000;
/** Part of a threshold below which pressure counts as gone; degrees for the temperature. */
const CALM_PART = 0.7;
const CALM_DEGREES = 5;
const CPU_MIN = 0.01;
const HIGH_PART = 0.8;

const CLASSES = ['low', 'normal', 'high', 'critical'] as const;
type Criticality = (typeof CLASSES)[number];

export const noShedding = (now: number): Shedding => ({ level: 0, since: now, over: 0 });

/** What a level does to a service. */
export function shedEffect(level: number, criticality: Criticality): ShedEffect {
  if (criticality === 'critical') return undefined;
  const throttles = 2 * CLASSES.indexOf(criticality) + 1;
  if (level < throttles) return undefined;
  return level === throttles ? 'throttled' : 'stopped';
}

/** The level at which this was done to a service of this criticality: where to go on after the agent's own death. */
export const levelOf = (effect: ShedEffect, criticality: Criticality): number =>
  effect === undefined || criticality === 'critical'
    ? 0
    : 2 * CLASSES.indexOf(criticality) + (effect === 'throttled' ? 1 : 2);

/** By name. A service on which a more critical one depends is as critical as that. */
export function criticalities(services: readonly ServiceSpec[]): Map<string, Criticality> {
  const found = new Map<string, Criticality>(
    services.map(({ name, criticality }) => [name, criticality ?? 'normal']),
  );
  for (let isSettled = false; !isSettled; ) {
    isSettled = true;
    for (const { name, dependsOn = {} } of services) {
      const own = found.get(name) ?? 'normal';
      for (const needed of Object.keys(dependsOn)) {
        const theirs = found.get(needed);
        if (theirs === undefined || CLASSES.indexOf(theirs) >= CLASSES.indexOf(own)) continue;
        found.set(needed, own);
        isSettled = false;
      }
    }
  }
  return found;
}

/** What a service is held to: half its CPU, and reclaim at 80 % of its memory, while it is throttled. */
export function effectiveBudget<T extends Budget>(budget: T, effect: ShedEffect): T {
  if (effect !== 'throttled') return budget;
  const high = Math.floor(budget.memoryMaxBytes * HIGH_PART);
  return {
    ...budget,
    cpuMax: Math.max(CPU_MIN, budget.cpuMax / 2),
    memoryHighBytes: Math.min(budget.memoryHighBytes ?? high, high),
  };
}

/** Counts one reading: one level up when it lasts, one down when it has been calm for long, else as it was. */
export function noteStrain(
  shedding: Shedding,
  strain: DeviceStrain,
  thresholds: ShedThresholds,
  services: readonly ServiceSpec[],
  now: number,
): Shedding {
  const excess = excessOf(strain, thresholds);
  const levels = levelsFor(services);
  if (excess !== undefined) {
    const over = shedding.over + 1;
    const strained: Shedding = { ...shedding, over, calmSince: undefined };
    const next = levels.find((level) => level > shedding.level);
    const isFirst = shedding.level === 0;
    const isSettled = isFirst || now < shedding.since || now - shedding.since >= SETTLE_MS;
    const lasts = over >= READINGS_TO_ENTER || (isFirst && strain.isUnderVoltage === true);
    return next !== undefined && isSettled && lasts
      ? moved(next, 'device.shed', `${excess}; ${describe(next)}`, now)
      : strained;
  }
  const quiet: Shedding = { ...shedding, over: 0 };
  if (shedding.level === 0 || !isCalm(strain, thresholds)) return { ...quiet, calmSince: undefined };
  const calmSince = Math.min(shedding.calmSince ?? now, now);
  if (now - calmSince < CALM_MS) return { ...quiet, calmSince };
  const next = levels.findLast((level) => level < shedding.level) ?? 0;
  const relieved = moved(next, 'device.relieved', `Calm for ${CALM_MS / 1000} s; ${describe(next)}`, now);
  const reason = relieved.reason && becauseOf(relieved.reason, shedding.reason);
  return { ...relieved, reason, calmSince: now };
}

const moved = (level: number, code: ReasonCode, message: string, now: number): Shedding => ({
  level,
  since: now,
  over: 0,
  reason: { code, message, at: now },
});

/** Levels that touch at least one of the services, lowest first. */
function levelsFor(services: readonly ServiceSpec[]): number[] {
  const present = new Set(criticalities(services).values());
  return CLASSES.flatMap((criticality, index) =>
    criticality !== 'critical' && present.has(criticality) ? [2 * index + 1, 2 * index + 2] : [],
  );
}

function describe(level: number): string {
  if (level === 0) return 'everything may run again';
  const what = level % 2 === 1 ? 'throttled' : 'stopped';
  return `services of ${CLASSES[Math.floor((level - 1) / 2)]} criticality are ${what}`;
}

/** What is over its threshold, in words. */
function excessOf(strain: DeviceStrain, thresholds: ShedThresholds): string | undefined {
  const { memoryPressure = 0, ioPressure = 0, temperatureCelsius } = strain;
  if (strain.isUnderVoltage) return 'The supply voltage is too low';
  if (memoryPressure > thresholds.memoryPressure)
    return `Memory pressure is ${memoryPressure} %, over ${thresholds.memoryPressure} %`;
  if (ioPressure > thresholds.ioPressure)
    return `IO pressure is ${ioPressure} %, over ${thresholds.ioPressure} %`;
  return temperatureCelsius !== undefined && temperatureCelsius > thresholds.temperatureCelsius
    ? `The device is at ${temperatureCelsius} °C, over ${thresholds.temperatureCelsius} °C`
    : undefined;
}

const isCalm = (strain: DeviceStrain, thresholds: ShedThresholds): boolean =>
  strain.isUnderVoltage !== true &&
  (strain.memoryPressure ?? 0) < thresholds.memoryPressure * CALM_PART &&
  (strain.ioPressure ?? 0) < thresholds.ioPressure * CALM_PART &&
  (strain.temperatureCelsius ?? -Infinity) < thresholds.temperatureCelsius - CALM_DEGREES;
