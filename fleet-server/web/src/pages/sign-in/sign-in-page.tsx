import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { api } from '../../api/endpoints.ts';
import { keys } from '../../api/queries.ts';
import { ThemeToggle } from '../../shell/theme-toggle.tsx';
import { Mark } from '../../ui/icon.tsx';
import { Notice } from '../../ui/notice.tsx';

export function SignInPage() {
  const client = useQueryClient();
  const [failure, setFailure] = useState<string>();
  const [isBusy, setIsBusy] = useState(false);

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setIsBusy(true);
    setFailure(undefined);
    try {
      const session = await api.signIn(String(form.get('name')), String(form.get('password')));
      client.setQueryData(keys.session, session);
    } catch (error) {
      setFailure(error instanceof Error ? error.message : String(error));
      setIsBusy(false);
    }
  };

  return (
    <main className="sign-in">
      <title>Sign in · Wherry</title>
      <form className="sign-in-card" onSubmit={(event) => void submit(event)}>
        <div className="sign-in-brand">
          <Mark />
          <h1>Wherry</h1>
        </div>
        {failure ? <Notice tone="bad" title={failure} isAlert /> : null}
        <label className="field">
          <span>Name</span>
          <input className="input" name="name" autoComplete="username" required autoFocus />
        </label>
        <label className="field">
          <span>Password</span>
          <input className="input" name="password" type="password" autoComplete="current-password" required />
        </label>
        <button type="submit" className="button button-main" disabled={isBusy}>
          {isBusy ? 'Signing in…' : 'Sign in'}
        </button>
      </form>
      <ThemeToggle />
    </main>
  );
}
