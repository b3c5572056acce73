import { join } from 'node:path';
import type { MqttClient } from 'mqtt';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openAssignment } from '../../protocol/assignment.ts';
import { buildWeb } from '../../scripts/build.ts';
import { ROOT } from '../../scripts/setup.mjs';
import { TestBrowser } from '../support/browser.ts';
import { ADMIN, type TestDevice, TestFleet } from '../support/fleet-server.ts';
import { type BuiltRelease, buildRelease, makeSigner, signRelease } from '../support/signed-release.ts';

/** Rules, urgent and pins in a real browser against the real server; the device speaks the protocol by hand. */
let fleet: TestFleet;
let browser: TestBrowser;
let page: Page;
let device: TestDevice;
let control: MqttClient;
let release: BuiltRelease;

const main = () => page.getByRole('main');
const panel = (name: string) => main().getByRole('region', { name, exact: true });
const ref = (generation: number) => ({
  name: 'demo',
  version: '1.0.0',
  manifest: release.manifestSha256,
  generation,
});

beforeAll(async () => {
  await buildWeb(() => {});
  fleet = await TestFleet.start({ webDir: join(ROOT, 'fleet-server/web/dist') });
  const signer = makeSigner((await fleet.api('GET', '/repository')).body);
  release = await buildRelease('1.0.0');
  await fleet.api('PUT', `/objects/${release.blobName}`, release.blob);
  await fleet.api('PUT', `/objects/manifest-${release.manifestSha256}`, Buffer.from(release.manifestText));
  await fleet.api('POST', '/releases', signRelease(signer, release, 1));
  device = await fleet.device('buoy-1');
  control = await device.connect('control');
  await device.hello(control);
  browser = await TestBrowser.open(fleet.server.url);
  page = browser.page;
  await page.goto('/rollouts/new');
  await page.getByLabel('Name').fill(ADMIN.name);
  await page.getByLabel('Password').fill(ADMIN.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await main().getByRole('heading', { name: 'Deploy' }).waitFor();
});

afterAll(async () => {
  await browser?.close();
  await device?.close();
  await fleet?.close();
});

async function policyOf(generation: number): Promise<unknown> {
  for (;;) {
    const opened = openAssignment(
      JSON.parse((await device.next('desired')).toString()),
      device.identity.fleetKey,
    );
    if (opened.ok && opened.assignment.generation === generation) return opened.assignment.policy;
  }
}

test('the rules of a rollout are told in words, and reach the device signed', async () => {
  await page.goto('/rollouts/new');
  await page.getByRole('radio', { name: /demo 1\.0\.0/ }).check();
  await page.getByRole('checkbox', { name: /buoy-1/ }).check();
  await page.getByRole('button', { name: 'Saturday night' }).click();
  await main().getByText('Saturdays from 02:00 for 4 h').first().waitFor();
  const schedule = page.getByLabel('Opens, window 1 (cron)');
  await schedule.fill('0 2 31 2 *');
  await main().getByText('never comes').waitFor();
  expect(await page.getByRole('button', { name: /^Deploy/ }).isDisabled()).toBe(true);
  await schedule.fill('30 3 * * 1-5');
  await page.getByLabel('Minutes open').fill('45');
  await main().getByText('Mondays to Fridays from 03:30 for 45 min').first().waitFor();
  await page.getByLabel(/hold a device for/).selectOption('3');
  await page.getByRole('checkbox', { name: /^External power only/ }).check();
  expect(await panel('Review').innerText()).toContain('longer than 3 d');
  const rate = page.getByLabel(/at most, Mbit\/s/);
  await rate.fill('-1');
  expect(await page.getByRole('button', { name: /^Deploy/ }).isDisabled()).toBe(true);
  await rate.fill('2.5');
  expect(await panel('Review').innerText()).toContain('2.5 Mbit/s in all at most');
  expect(await browser.look('rules', panel('Review'))).toEqual([]);
  await page.getByRole('button', { name: 'Deploy 1.0.0 to 1 device' }).click();
  expect(await policyOf(1)).toEqual({
    windows: [{ schedule: '30 3 * * 1-5', minutes: 45 }],
    maxDeferralMs: 3 * 86_400_000,
    power: 'external',
  });
  await panel('Rules').getByText('2.5 Mbit/s in all at most').waitFor();
  const [rollout] = (await fleet.api('GET', '/rollouts')).body.items;
  expect(rollout.egressBytesPerSecond).toBe(312_500);
});

test('a device that waits is told why, and is no concern', async () => {
  const message = 'Waits for the update window of 2099-11-21T03:30:00Z';
  const reason = { code: 'wait.window' as const, message, at: Date.now() };
  await device.report(control, 1, { phase: 'waiting', release: ref(1), reason });
  await panel('Devices')
    .getByText(/Waits for the update window of Sat,? 21 Nov/)
    .waitFor();
  expect(await panel('Overall').innerText()).toMatch(/In progress\s+0\s+Waiting\s+1/);
  expect(await browser.look('rollout-waits', panel('Devices'))).toEqual([]);
  await page.getByRole('link', { name: 'Devices' }).click();
  await main().getByText('none needs attention').waitFor();
  await main()
    .getByText(/Waits for the update window/)
    .waitFor();
});

test('urgent asks once more, and comes to the device as a new generation', async () => {
  await page.getByRole('link', { name: 'Rollouts' }).click();
  await page.getByRole('link', { name: 'demo 1.0.0' }).click();
  await page.getByRole('button', { name: 'Make urgent…' }).click();
  expect(await browser.look('urgent', page.getByRole('dialog'))).toEqual([]);
  await page.getByRole('dialog').getByRole('button', { name: 'Make urgent' }).click();
  expect(await policyOf(2)).toMatchObject({ urgent: { by: 'admin' } });
  await panel('Rules').getByText('Urgent, by admin').waitFor();
  await device.report(control, 2, { phase: 'committed', release: ref(2) }, ref(2));
  await main().getByText('Completed').waitFor();
});

test('a pinned device says so, and is refused by name where a rollout is made', async () => {
  await page.goto('/devices/buoy-1');
  await page.getByRole('button', { name: 'Pin to demo 1.0.0' }).click();
  await panel('Identity').getByText('Pinned to demo 1.0.0 by admin').waitFor();
  expect(await browser.look('device-pinned', panel('Identity'))).toEqual([]);
  await page.goto('/rollouts/new');
  await page.getByRole('radio', { name: /demo 1\.0\.0/ }).check();
  await main().getByText('Pinned to demo 1.0.0 by admin; unpin it on its page first').waitFor();
  expect(await page.getByRole('checkbox', { name: /buoy-1/ }).isDisabled()).toBe(true);
  await page.goto('/devices/buoy-1');
  await page.getByRole('button', { name: 'Unpin' }).click();
  await page.getByRole('button', { name: 'Pin to demo 1.0.0' }).waitFor();
});

test('no page complained but of the window that was refused', () => {
  expect(browser.complaints.filter((complaint) => !complaint.includes('422'))).toEqual([]);
});
