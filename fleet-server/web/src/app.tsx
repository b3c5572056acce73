import { Redirect, Route, Switch } from 'wouter';
import { useSession } from './api/queries.ts';
import { LiveProvider } from './live/live-provider.tsx';
import { NowProvider } from './live/now.tsx';
import { DeployPage } from './pages/deploy/deploy-page.tsx';
import { DevicePage } from './pages/device/device-page.tsx';
import { DevicesPage } from './pages/devices/devices-page.tsx';
import { ReleasePage } from './pages/release/release-page.tsx';
import { ReleasesPage } from './pages/releases/releases-page.tsx';
import { RolloutPage } from './pages/rollout/rollout-page.tsx';
import { RolloutsPage } from './pages/rollouts/rollouts-page.tsx';
import { SignInPage } from './pages/sign-in/sign-in-page.tsx';
import { Shell } from './shell/shell.tsx';
import { Empty } from './ui/empty.tsx';
import { Failure } from './ui/load.tsx';

/** Sign-in takes the place of the page and leaves the URL alone: signing in goes on where the link pointed. */
export function App() {
  const session = useSession();
  if (session.error && session.data === undefined) {
    return (
      <main className="page">
        <Failure error={session.error} retry={() => void session.refetch()} />
      </main>
    );
  }
  if (session.data === undefined) return null;
  if (session.data === null) return <SignInPage />;
  return (
    <LiveProvider>
      <NowProvider>
        <Shell session={session.data}>
          <Pages />
        </Shell>
      </NowProvider>
    </LiveProvider>
  );
}

function Pages() {
  return (
    <Switch>
      <Route path="/">
        <Redirect to="/devices" replace />
      </Route>
      <Route path="/devices" component={DevicesPage} />
      <Route path="/devices/:id">{({ id }) => <DevicePage key={id} id={id} />}</Route>
      <Route path="/releases" component={ReleasesPage} />
      <Route path="/releases/:id">{({ id }) => <ReleasePage key={id} id={id} />}</Route>
      <Route path="/rollouts" component={RolloutsPage} />
      <Route path="/rollouts/new" component={DeployPage} />
      <Route path="/rollouts/:id">{({ id }) => <RolloutPage key={id} id={id} />}</Route>
      <Route>
        <Empty title="There is no page here">
          <p className="soft">The link may be old. The sections above lead to everything there is.</p>
        </Empty>
      </Route>
    </Switch>
  );
}
