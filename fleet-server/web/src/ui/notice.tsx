import type { ReactNode } from 'react';
import type { Tone } from '../format/words.ts';
import { ToneIcon } from './icon.tsx';

interface NoticeProps {
  tone: Tone;
  title: string;
  children?: ReactNode;
  /** True for what appears in answer to an action: it is read out at once. */
  isAlert?: boolean;
}

export function Notice({ tone, title, children, isAlert = false }: NoticeProps) {
  return (
    <div className={`notice tone-${tone}`} role={isAlert ? 'alert' : undefined}>
      <ToneIcon tone={tone} />
      <div className="stack-tight">
        <p className="notice-title">{title}</p>
        {children}
      </div>
    </div>
  );
}
