import { useLayoutEffect, useRef } from 'react';

/** So near to the end, whoever reads wants to stay there. */
const NEAR_PX = 40;

/** Stays at the end while whoever reads is there. */
export function useStickyEnd(content: unknown) {
  const box = useRef<HTMLOListElement & HTMLPreElement>(null);
  const isAtEnd = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: it follows the content
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    if (isAtEnd.current) element.scrollTop = element.scrollHeight;
    const look = () => {
      isAtEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX;
    };
    element.addEventListener('scroll', look);
    return () => element.removeEventListener('scroll', look);
  }, [content]);
  return box;
}
