import { useEffect, useState } from 'react';

/** A canvas knows no CSS: the tokens are read as they stand now. light-dark() resolves only in a used colour. */
export function chartColours() {
  const probe = document.createElement('span');
  document.body.append(probe);
  const read = (token: string) => {
    probe.style.color = `var(${token})`;
    return getComputedStyle(probe).color;
  };
  const colours = {
    accent: read('--accent'),
    wash: read('--accent-wash'),
    warn: read('--warn'),
    line: read('--line'),
    soft: read('--ink-soft'),
    font: getComputedStyle(document.body).fontFamily,
  };
  probe.remove();
  return colours;
}

/** A number that changes whenever light turns to dark or back, by the system or by the toggle. */
export function useThemeChange(): number {
  const [changes, setChanges] = useState(0);
  useEffect(() => {
    const onChange = () => setChanges((number) => number + 1);
    const system = matchMedia('(prefers-color-scheme: dark)');
    system.addEventListener('change', onChange);
    const toggle = new MutationObserver(onChange);
    toggle.observe(document.documentElement, { attributeFilter: ['data-theme'] });
    return () => {
      system.removeEventListener('change', onChange);
      toggle.disconnect();
    };
  }, []);
  return changes;
}
