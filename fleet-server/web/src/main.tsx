import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { isUnauthorized, ProblemError } from './api/problem.ts';
import { keys } from './api/queries.ts';
import { App } from './app.tsx';
import './styles/tokens.css';
import './styles/base.css';
import './styles/shell.css';
import './styles/controls.css';
import './styles/tables.css';
import './styles/channels.css';
import './styles/pages.css';
import './styles/rules.css';
import './styles/post-mortem.css';
import './styles/remote.css';
import './styles/states.css';
import './styles/wizard.css';

const client: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    onError: (error) => {
      if (isUnauthorized(error)) client.setQueryData(keys.session, null);
    },
  }),
  defaultOptions: {
    queries: {
      // The stream keeps what is shown fresh
      staleTime: 30_000,
      retry: (failures, error) => {
        const isRefusal = error instanceof ProblemError && error.status >= 400 && error.status < 500;
        return !isRefusal && failures < 2;
      },
    },
  },
});

const root = document.querySelector('#root');
if (!root) throw new Error('Cannot start: the page holds no #root');
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      <App />
    </QueryClientProvider>
  </StrictMode>,
);
