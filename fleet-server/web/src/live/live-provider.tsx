import { useQueryClient } from '@tanstack/react-query';
import { createContext, type ReactNode, use, useEffect, useState } from 'react';
import { applyEvent } from './apply.ts';
import { type LinkState, openStream } from './stream.ts';

const LinkContext = createContext<LinkState>('connecting');

export const useLinkState = () => use(LinkContext);

export function LiveProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [state, setState] = useState<LinkState>('connecting');
  useEffect(
    () =>
      openStream({
        onEvent: (event) => applyEvent(client, event),
        onState: setState,
        onGap: () => void client.invalidateQueries(),
      }),
    [client],
  );
  return <LinkContext value={state}>{children}</LinkContext>;
}
