import { useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useEffect, useRef } from 'react';
import { Link, useLocation } from 'wouter';
import { api } from '../api/endpoints.ts';
import { keys } from '../api/queries.ts';
import type { Session } from '../api/types.ts';
import { LiveIndicator } from '../live/live-indicator.tsx';
import { ErrorBoundary } from '../ui/error-boundary.tsx';
import { Mark } from '../ui/icon.tsx';
import { ThemeToggle } from './theme-toggle.tsx';

const SECTIONS = [
  { href: '/devices', label: 'Devices' },
  { href: '/releases', label: 'Releases' },
  { href: '/rollouts', label: 'Rollouts' },
] as const;

export function Shell({ session, children }: { session: Session; children: ReactNode }) {
  const [location] = useLocation();
  const main = useFocusOnNavigation(location);
  return (
    <>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <header className="bar">
        <div className="bar-inner">
          <Link href="/devices" className="brand">
            <Mark />
            Wherry
          </Link>
          <nav className="bar-nav" aria-label="Sections">
            {SECTIONS.map(({ href, label }) => (
              <Link
                key={href}
                href={href}
                className="bar-link"
                aria-current={location.startsWith(href) ? 'page' : undefined}
              >
                {label}
              </Link>
            ))}
          </nav>
          <div className="bar-end">
            <LiveIndicator />
            <ThemeToggle />
            <SignOut name={session.name} />
          </div>
        </div>
      </header>
      <main id="main" className="page" ref={main} tabIndex={-1}>
        <ErrorBoundary resetKey={location}>{children}</ErrorBoundary>
      </main>
    </>
  );
}

/** A new page starts at its top for the eye, the keyboard and the screen reader alike. */
function useFocusOnNavigation(location: string) {
  const main = useRef<HTMLElement>(null);
  const shown = useRef(location);
  useEffect(() => {
    if (shown.current === location) return;
    shown.current = location;
    main.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [location]);
  return main;
}

function SignOut({ name }: { name: string }) {
  const client = useQueryClient();
  const signOut = async () => {
    await api.signOut().catch(() => undefined);
    client.clear();
    client.setQueryData(keys.session, null);
  };
  return (
    <button type="button" className="button button-quiet" onClick={() => void signOut()}>
      Sign out<span className="bar-user"> {name}</span>
    </button>
  );
}
