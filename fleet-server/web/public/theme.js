// Runs before the first paint: a remembered choice must not flash the other theme. A file of its own because the
// Content-Security-Policy allows no inline script.
try {
  const theme = localStorage.getItem('wherry.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // storage is blocked: the system's preference holds
}
