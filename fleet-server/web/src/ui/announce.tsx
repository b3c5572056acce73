import { useEffect, useRef, useState } from 'react';

const MIN_GAP_MS = 8_000;

/** Reads `text` out, at most every eight seconds: live progress would otherwise talk without end. */
export function Announce({ text }: { text: string }) {
  const [spoken, setSpoken] = useState(text);
  const lastAt = useRef(0);
  useEffect(() => {
    const waitMs = Math.max(0, lastAt.current + MIN_GAP_MS - Date.now());
    const timer = setTimeout(() => {
      lastAt.current = Date.now();
      setSpoken(text);
    }, waitMs);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <p className="visually-hidden" aria-live="polite">
      {spoken}
    </p>
  );
}
