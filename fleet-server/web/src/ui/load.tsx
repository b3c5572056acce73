import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { ProblemError } from '../api/problem.ts';
import { Notice } from './notice.tsx';

interface LoadProps<T> {
  query: UseQueryResult<T>;
  /** Lines of the placeholder: near the height of what comes, so that nothing jumps. */
  lines?: number;
  children: (data: T) => ReactNode;
}

/** Loading, failed or there: every page shows one of the three. Data already there stays while a refetch fails. */
export function Load<T>({ query, lines = 4, children }: LoadProps<T>) {
  if (query.data !== undefined) return children(query.data);
  if (query.error) return <Failure error={query.error} retry={() => void query.refetch()} />;
  return <Skeleton lines={lines} />;
}

export function Skeleton({ lines }: { lines: number }) {
  return (
    <div className="skeleton" role="status">
      <span className="visually-hidden">Loading</span>
      {Array.from({ length: lines }, (_, line) => (
        <span key={line} className="skeleton-line" aria-hidden="true" />
      ))}
    </div>
  );
}

export function Failure({ error, retry }: { error: Error; retry?: () => void }) {
  const problem = error instanceof ProblemError ? error : undefined;
  return (
    <Notice tone="bad" title={problem?.title ?? 'Something went wrong'} isAlert>
      <p>
        {error.message}
        {problem ? <code className="code-tag">{problem.code}</code> : null}
      </p>
      {retry ? (
        <p>
          <button type="button" className="button" onClick={retry}>
            Try again
          </button>
        </p>
      ) : null}
    </Notice>
  );
}
