import type { Check, Patient } from './check.ts';
import {
  type CheckResult,
  cannotTell,
  type Diagnosis,
  type Finding,
  verdictOf,
  warn,
} from './core/finding.ts';

export interface DoctorOptions {
  checks: readonly Check[];
  patient: Patient;
  /** All of it ends then, whatever a check does. */
  limitMs: number;
  signal: AbortSignal;
  onProgress(check: string, text: string): void;
  monotonic(): number;
}

/** Runs all checks at once, each within its own time. Never rejects for what a check does. */
export async function examine(options: DoctorOptions): Promise<Diagnosis> {
  const { checks, patient, limitMs, signal } = options;
  const whole = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
  const results = await Promise.all(checks.map((check) => timed(check, options, whole)));
  return { at: patient.host.now(), verdict: verdictOf(results), checks: results };
}

async function timed(check: Check, options: DoctorOptions, whole: AbortSignal): Promise<CheckResult> {
  const { monotonic, patient, onProgress } = options;
  const began = monotonic();
  const limitMs = Math.min(check.limitMs, options.limitMs);
  const signal = AbortSignal.any([whole, AbortSignal.timeout(limitMs)]);
  const run = { patient, signal, progress: (text: string) => onProgress(check.name, text) };
  // A check that hears nothing of its signal hangs in the kernel: that is a finding too.
  const finding = await Promise.race([attempt(check, run), overdue(signal, limitMs)]);
  return { check: check.name, ...finding, tookMs: Math.round(monotonic() - began) };
}

async function attempt(check: Check, run: Parameters<Check['run']>[0]): Promise<Finding> {
  try {
    return await check.run(run);
  } catch (error) {
    // Its time is over: what that means is said below.
    if (run.signal.aborted) return new Promise<never>(() => {});
    return cannotTell(error instanceof Error ? error.message : String(error));
  }
}

function overdue(signal: AbortSignal, limitMs: number): Promise<Finding> {
  const finding = warn(
    `The check did not end within ${limitMs / 1000} s`,
    'the device is very busy, or something hangs there: see "wherry doctor" once more when it is quiet, and "dmesg"',
  );
  return new Promise((resolve) => {
    if (signal.aborted) resolve(finding);
    // A tick later: a check that ends by its signal may have a finding.
    signal.addEventListener('abort', () => setImmediate(() => resolve(finding)), { once: true });
  });
}
