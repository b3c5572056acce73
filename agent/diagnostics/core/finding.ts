/** `skipped`: not asked for, or it cannot be told here and now; `found` then says why. */
export const VERDICTS = ['ok', 'warn', 'fail', 'skipped'] as const;
export type Verdict = (typeof VERDICTS)[number];

/** What a check found, in one sentence, and what to do where something is to be done. */
export interface Finding {
  verdict: Verdict;
  found: string;
  advice?: string;
}

export interface CheckResult extends Finding {
  /** Stable: scripts ask by it. A plugin's is "plugin:<file>". */
  check: string;
  tookMs: number;
}

/** All checks of one visit, in their fixed order, plugins last. */
export interface Diagnosis {
  /** Unix ms. */
  at: number;
  verdict: 'ok' | 'warn' | 'fail';
  checks: CheckResult[];
}

export const ok = (found: string): Finding => ({ verdict: 'ok', found });
export const warn = (found: string, advice: string): Finding => ({ verdict: 'warn', found, advice });
export const fail = (found: string, advice: string): Finding => ({ verdict: 'fail', found, advice });
export const skipped = (found: string): Finding => ({ verdict: 'skipped', found });
/** `because` continues the sentence: "there is no default route". */
export const cannotTell = (because: string): Finding => skipped(`Cannot tell, because ${because}`);

const RANK: Record<Verdict, number> = { skipped: 0, ok: 1, warn: 2, fail: 3 };

/** Several findings of one check as one: the worst verdict, what is wrong first. `findings` is not empty. */
export function together(findings: readonly Finding[]): Finding {
  const sorted = findings.toSorted((a, b) => RANK[b.verdict] - RANK[a.verdict]);
  const advice = [...new Set(sorted.flatMap((finding) => finding.advice ?? []))].join('; ');
  return {
    verdict: sorted[0]?.verdict ?? 'skipped',
    found: sorted.map(({ found }) => found).join('; '),
    ...(advice && { advice }),
  };
}

/** A check that was skipped says nothing of the device. */
export function verdictOf(checks: readonly Finding[]): Diagnosis['verdict'] {
  const worst = Math.max(1, ...checks.map(({ verdict }) => RANK[verdict]));
  return worst === 3 ? 'fail' : worst === 2 ? 'warn' : 'ok';
}
