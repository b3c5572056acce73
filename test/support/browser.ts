import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium, type Locator, type Page } from 'playwright-core';

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
const SETTLE_MS = 3_000;
const SCHEMES = ['light', 'dark'] as const;

/** A real Chromium with one page, and what that page complained of. */
export class TestBrowser {
  readonly page: Page;
  /** Console errors, uncaught errors and breaches of the Content-Security-Policy. */
  readonly complaints: string[] = [];
  readonly #browser: Browser;

  private constructor(browser: Browser, page: Page) {
    this.#browser = browser;
    this.page = page;
    page.on('console', (message) => {
      // Chromium reports the answer to a wrong password, and to asking who is signed in, as an error.
      const isSession =
        message.location().url.endsWith('/api/v1/session') && /status of 401/.test(message.text());
      if (message.type() === 'error' && !isSession) this.complaints.push(`${page.url()}: ${message.text()}`);
    });
    page.on('pageerror', (error) => this.complaints.push(`${page.url()}: ${error.message}`));
  }

  static async open(baseURL: string): Promise<TestBrowser> {
    const browser = await chromium.launch({
      executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
      headless: true,
      args: ARGS,
    });
    const page = await browser.newPage({ baseURL, viewport: WIDTHS.desktop, colorScheme: 'light' });
    return new TestBrowser(browser, page);
  }

  /**
   * What is wrong with the page at each width and scheme: it scrolls sideways, or `content` cannot be seen. Into the
   * folder that WHERRY_SCREENSHOTS names, if any, it puts a picture of each.
   */
  async look(name: string, content: Locator): Promise<string[]> {
    const faults: string[] = [];
    for (const [width, viewport] of Object.entries(WIDTHS)) {
      await this.page.setViewportSize(viewport);
      for (const colorScheme of SCHEMES) {
        await this.page.emulateMedia({ colorScheme });
        const view = `${name}-${width}-${colorScheme}`;
        // Charts take their new width when they have seen it.
        await this.page
          .waitForFunction(
            'document.documentElement.scrollWidth <= document.documentElement.clientWidth',
            null,
            {
              timeout: SETTLE_MS,
            },
          )
          .catch(() => faults.push(`${view} scrolls sideways`));
        const box = await content.boundingBox();
        if (!box || box.width === 0 || box.x + box.width > viewport.width)
          faults.push(`${view} hides its content`);
        await this.#shoot(view);
      }
    }
    await this.page.setViewportSize(WIDTHS.desktop);
    await this.page.emulateMedia({ colorScheme: 'light' });
    return faults;
  }

  async #shoot(name: string): Promise<void> {
    const folder = process.env['WHERRY_SCREENSHOTS'];
    if (!folder) return;
    mkdirSync(folder, { recursive: true });
    await this.page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
  }

  async close(): Promise<void> {
    await this.#browser.close();
  }
}
