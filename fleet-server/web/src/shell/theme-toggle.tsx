import { type Theme, useTheme } from './theme.ts';

const NEXT: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };
const LABELS: Record<Theme, string> = { system: 'Auto', light: 'Light', dark: 'Dark' };

export function ThemeToggle() {
  const [theme, choose] = useTheme();
  return (
    <button
      type="button"
      className="button button-quiet theme-toggle"
      aria-label={`Theme: ${LABELS[theme]}. Change to ${LABELS[NEXT[theme]]}`}
      onClick={() => choose(NEXT[theme])}
    >
      <svg className="icon" viewBox="0 0 16 16" aria-hidden="true">
        <circle cx="8" cy="8" r="6.200" fill="none" stroke="currentColor" strokeWidth="1.600" />
        <path d="M8 1.800a6.200 6.200 0 0 1 0 12.400Z" fill="currentColor" />
      </svg>
      <span>{LABELS[theme]}</span>
    </button>
  );
}
