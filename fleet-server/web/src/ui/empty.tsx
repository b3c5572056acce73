import type { ReactNode } from 'react';
import { Mark } from './icon.tsx';

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <Mark />
      <h2>{title}</h2>
      {children}
    </div>
  );
}
