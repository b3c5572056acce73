import type { ReactNode } from 'react';

interface PageHeaderProps {
  title: string;
  /** Beside the title: a badge or two. */
  state?: ReactNode;
  /** Under the title. */
  lead?: ReactNode;
  actions?: ReactNode;
}

export function PageHeader({ title, state, lead, actions }: PageHeaderProps) {
  return (
    <header className="page-head">
      <title>{`${title} · Wherry`}</title>
      <div className="stack-tight">
        <div className="page-title">
          <h1>{title}</h1>
          {state}
        </div>
        {lead ? <div className="soft">{lead}</div> : null}
      </div>
      {actions ? <div className="cluster">{actions}</div> : null}
    </header>
  );
}
