import { createContext, type ReactNode, use, useEffect, useState } from 'react';

const NowContext = createContext(Date.now());
const TICK_MS = 5_000;

/** One clock for every relative time on the page, so that they change together. */
export function NowProvider({ children }: { children: ReactNode }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return <NowContext value={now}>{children}</NowContext>;
}

/** Unix time in milliseconds, fresh to five seconds. */
export const useNow = () => use(NowContext);
