import type { Page } from 'playwright-core';

export interface Shot {
  name: string;
  path: string;
  isSignedOut?: boolean;
  /** Only the window and not the whole page: a dialog covers no more. */
  isWindow?: boolean;
  /** Brings the page to what shall be seen. */
  act(page: Page): Promise<void>;
}

const sees = (text: string) => async (page: Page) => {
  await page.getByText(text).first().waitFor();
};

async function charts(page: Page): Promise<void> {
  await page.locator('.chart canvas').first().waitFor();
}

async function chooseRelease(page: Page): Promise<void> {
  await page.getByRole('radio', { name: /river-gauge 1\.2\.0/ }).check();
  await page.getByRole('checkbox', { name: /^All/ }).check();
  await page.getByRole('heading', { name: 'Review' }).waitFor();
}

async function withRules(page: Page): Promise<void> {
  await chooseRelease(page);
  await page.getByRole('button', { name: 'Every night' }).click();
  await page.getByRole('button', { name: 'Saturday night' }).click();
  await page.getByLabel(/hold a device for/).selectOption('7');
  await page.getByRole('checkbox', { name: /^External power only/ }).check();
  await page.getByText('Saturdays from 02:00').first().waitFor();
}

const atDevice = (page: Page) => page.getByRole('region', { name: 'At the device', exact: true });

/** The panel in the middle of the window, with what a button of it shows. */
async function tool(page: Page, name: string, seen: string): Promise<void> {
  await charts(page);
  await atDevice(page).getByRole('button', { name, exact: true }).click();
  await page.getByText(seen).first().waitFor();
  await atDevice(page).scrollIntoViewIfNeeded();
}

export const SHOTS: readonly Shot[] = [
  { name: 'sign-in', path: '/devices', isSignedOut: true, act: sees('Password') },
  {
    name: 'sign-in-wrong',
    path: '/devices',
    isSignedOut: true,
    act: async (page) => {
      await page.getByLabel('Name').fill('admin');
      await page.getByLabel('Password').fill('wrong');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('alert').waitFor();
    },
  },
  { name: 'devices', path: '/devices', act: sees('gauge-01') },
  {
    name: 'devices-none-match',
    path: '/devices',
    act: async (page) => {
      await page.getByRole('searchbox').fill('no such thing');
      await page.getByText('No device matches').waitFor();
    },
  },
  { name: 'device', path: '/devices/gauge-01', act: charts },
  { name: 'device-refused', path: '/devices/gauge-03', act: charts },
  { name: 'device-failing', path: '/devices/gauge-05', act: charts },
  {
    name: 'device-post-mortem',
    path: '/devices/gauge-05',
    act: async (page) => {
      await charts(page);
      await page.getByText('the kernel killed node').first().click();
      await page.getByText('Its last lines').waitFor();
    },
  },
  {
    name: 'remote-log',
    isWindow: true,
    path: '/devices/gauge-01',
    act: (page) => tool(page, 'Log', 'Live, 4'),
  },
  {
    name: 'remote-why',
    isWindow: true,
    path: '/devices/gauge-05',
    act: (page) => tool(page, 'Why', 'Ask again'),
  },
  {
    name: 'remote-terminal',
    isWindow: true,
    path: '/devices/gauge-01',
    act: async (page) => {
      await tool(page, 'Terminal', 'split at spaces');
      await page.getByRole('button', { name: 'Run', exact: true }).click();
      await page.getByText('drwxr-xr-x').first().waitFor();
      await page.getByRole('button', { name: 'Ctrl-C' }).waitFor();
    },
  },
  {
    name: 'remote-bundle',
    isWindow: true,
    path: '/devices/gauge-01',
    act: (page) => tool(page, 'Support bundle', 'KiB fetched'),
  },
  {
    name: 'remote-reboot',
    path: '/devices/gauge-01',
    isWindow: true,
    act: async (page) => {
      await tool(page, 'Reboot…', 'Reboot the device?');
      await page.getByLabel('Type the name').fill('gauge-0');
    },
  },
  {
    name: 'remote-restart',
    isWindow: true,
    path: '/devices/gauge-02',
    act: async (page) => {
      await tool(page, 'Restart…', 'It is stopped and started again');
      await page.getByRole('button', { name: /^Restart \w/ }).click();
      await page.getByText('The device restarts it').waitFor();
    },
  },
  { name: 'device-offline', path: '/devices/gauge-06', act: sees('The device is offline') },
  {
    name: 'device-new',
    path: '/devices/spare-with-a-rather-long-device-name',
    act: sees('Nothing was measured'),
  },
  { name: 'device-unknown', path: '/devices/nowhere', act: sees('no such thing') },
  { name: 'releases', path: '/releases', act: sees('lock-gate') },
  {
    name: 'release',
    path: '/releases',
    act: async (page) => {
      await page.getByRole('link', { name: 'river-gauge 1.1.0', exact: true }).click();
      await page.getByText('Where it runs').waitFor();
      await page.getByRole('link', { name: 'gauge-01' }).waitFor();
    },
  },
  { name: 'deploy-start', path: '/rollouts/new', act: sees('lock-gate') },
  { name: 'deploy', path: '/rollouts/new', act: chooseRelease },
  { name: 'rollouts', path: '/rollouts', act: sees('river-gauge') },
  {
    name: 'rollout-moving',
    path: '/rollouts/new',
    act: async (page) => {
      await chooseRelease(page);
      await page.getByRole('button', { name: /^Deploy 1\.2\.0/ }).click();
      await page.getByText('refused.metadata-signature').waitFor({ timeout: 15_000 });
      await page
        .getByText(/^[1-9].* of 18\.4 MiB fetched/)
        .first()
        .waitFor({ timeout: 15_000 });
    },
  },
  { name: 'deploy-rules', path: '/rollouts/new', act: withRules },
  {
    name: 'deploy-bad-window',
    path: '/rollouts/new',
    act: async (page) => {
      await withRules(page);
      await page.getByLabel('Opens, window 1 (cron)').fill('every night');
      await page.getByText('A window cannot be used').waitFor();
    },
  },
  {
    name: 'deploy-urgent',
    path: '/rollouts/new',
    isWindow: true,
    act: async (page) => {
      await withRules(page);
      await page.getByRole('checkbox', { name: /^Urgent/ }).check();
      await page.getByRole('button', { name: /as urgent…$/ }).click();
      await page.getByRole('heading', { name: 'Deploy as urgent?' }).waitFor();
    },
  },
  {
    name: 'rollout-waiting',
    path: '/rollouts/new',
    act: async (page) => {
      await withRules(page);
      await page.getByRole('button', { name: /^Deploy 1\.2\.0/ }).click();
      await page.getByText('Waits for the update window').first().waitFor({ timeout: 40_000 });
    },
  },
  {
    name: 'rollout-urgent',
    path: '/rollouts',
    isWindow: true,
    act: async (page) => {
      await page.getByRole('link', { name: 'river-gauge 1.2.0' }).first().click();
      await page.getByRole('button', { name: 'Make urgent…' }).click();
      await page.getByRole('heading', { name: 'Make this rollout urgent?' }).waitFor();
    },
  },
  { name: 'device-waiting', path: '/devices/gauge-07', act: sees('Waits for the update window') },
  { name: 'device-pinned', path: '/devices/gauge-08', act: sees('Pinned to river-gauge') },
  { name: 'device-updating', path: '/devices/gauge-02', act: charts },
];

export const EMPTY_SHOTS: readonly Shot[] = [
  { name: 'empty-devices', path: '/devices', act: sees('No device yet') },
  { name: 'empty-releases', path: '/releases', act: sees('No release yet') },
  { name: 'empty-rollouts', path: '/rollouts', act: sees('No rollout yet') },
  {
    name: 'enrol',
    path: '/devices',
    isWindow: true,
    act: async (page) => {
      await page.getByRole('button', { name: 'Enrol a device' }).click();
      await page.getByRole('button', { name: 'Make a join string' }).click();
      await page.getByText('Shown once').waitFor();
    },
  },
];
