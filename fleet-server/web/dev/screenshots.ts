/**
 * Every page at desktop and phone width, light and dark, into a folder:
 * `node fleet-server/web/dev/screenshots.ts <folder> [page…]`. Against the simulated server. Fails on a console error: a breach of the
 * Content-Security-Policy is one.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { startMockServer } from './mock-server.ts';
import { EMPTY_SHOTS, SHOTS, type Shot } from './shots.ts';

const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const WIDTHS = { desktop: { width: 1280, height: 860 }, phone: { width: 390, height: 844 } } as const;

const [, , folder = 'screenshots', ...only] = process.argv;
const complaints: string[] = [];
await mkdir(folder, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
  headless: true,
  args: ARGS,
});
try {
  await shoot(SHOTS, false);
  await shoot(EMPTY_SHOTS, true);
} finally {
  await browser.close();
}
for (const complaint of complaints) process.stderr.write(`${complaint}\n`);
process.exitCode = complaints.length > 0 ? 1 : 0;

async function shoot(shots: readonly Shot[], isEmpty: boolean): Promise<void> {
  const wanted = shots.filter(({ name }) => only.length === 0 || only.includes(name));
  if (wanted.length === 0) return;
  for (const [size, viewport] of Object.entries(WIDTHS)) {
    for (const colorScheme of ['light', 'dark'] as const) {
      // A fleet of its own for each round: the rollout that one starts changes the devices
      const server = await startMockServer({ isEmpty });
      const context = await browser.newContext({ viewport, colorScheme, reducedMotion: 'reduce' });
      try {
        for (const shot of wanted) {
          await take(context, server.url, shot, join(folder, `${shot.name}-${size}-${colorScheme}.png`));
        }
      } finally {
        await context.close();
        await server.close();
      }
    }
  }
}

async function take(context: BrowserContext, url: string, shot: Shot, path: string): Promise<void> {
  await context.clearCookies();
  if (!shot.isSignedOut) {
    await context.request.post(`${url}/api/v1/session`, { data: { name: 'admin', password: 'wherry' } });
  }
  const page = await context.newPage();
  page.on('console', (message) => {
    if (message.type() === 'error' && !/status of (40[14]|422)/.test(message.text()))
      complaints.push(`${path}: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`${path}: ${error.message}`));
  await page.goto(`${url}${shot.path}`);
  await shot.act(page);
  await checkOverflow(page, path);
  await page.screenshot({ path, fullPage: shot.isWindow !== true });
  await page.close();
}

async function checkOverflow(page: Page, path: string): Promise<void> {
  const excess = await page.evaluate(
    'document.documentElement.scrollWidth - document.documentElement.clientWidth',
  );
  if (Number(excess) > 0) complaints.push(`${path}: scrolls sideways by ${String(excess)} px`);
}
