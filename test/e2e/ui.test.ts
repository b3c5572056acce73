import { rmSync } from 'node:fs';
import { copyFile, cp, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ServerClient } from '../../demo/server-client.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { blobPath, manifestPath } from '../../release/folder.ts';
import { pushRelease } from '../../release/push.ts';
import { signRelease } from '../../release/sign.ts';
import { TestBrowser } from '../support/browser.ts';
import { wherry } from '../support/cli.ts';
import { Demo } from '../support/demo.ts';
import { tamper } from '../support/hostile-server.ts';
import { noiseLayer } from '../support/service-release.ts';
import { until } from '../support/until.ts';

/** One visit to a demo as `npm start` makes it, in a real browser: each test goes on where the one before ended. */
const PORT = 17_640;
const PLATFORM = process.arch === 'arm64' ? 'linux/arm64' : 'linux/amd64';

const dataDir = await mkdtemp(join(tmpdir(), 'wherry-ui-'));
let demo: Demo;
let browser: TestBrowser;
let page: Page;

const main = () => page.getByRole('main');
const section = (name: string) => page.getByRole('link', { name, exact: true });
const row = (name: RegExp) => main().getByRole('row', { name });
const panel = (name: string) => main().getByRole('region', { name, exact: true });
const sees = (locator: Locator, timeout = 15_000) => locator.first().waitFor({ timeout });

/** Nothing on the page survives a reload, this mark included. */
const mark = () => page.evaluate('window.wasNotReloaded = true');
const isMarked = () => page.evaluate('window.wasNotReloaded === true');

beforeAll(async () => {
  demo = new Demo(PORT, dataDir);
  await demo.ready();
  browser = await TestBrowser.open(demo.url);
  page = browser.page;
}, 500_000);

afterAll(async () => {
  await browser?.close();
  if (demo.child.exitCode === null) await demo.terminate();
  rmSync(dataDir, { recursive: true, force: true });
}, 120_000);

test('a wrong password is refused in words, the right one signs in', async () => {
  await page.goto('/devices');
  await page.getByLabel('Name').fill('admin');
  await page.getByLabel('Password').fill('not the password');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await sees(page.getByRole('alert'));
  expect(await page.getByRole('alert').textContent()).toMatch(/password/i);
  expect(await browser.look('sign-in-wrong', page.getByRole('alert'))).toEqual([]);
  await page.getByLabel('Password').fill(demo.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await sees(page.getByRole('heading', { name: 'Devices', level: 1 }));
});

test('the list shows the device online with what it runs', async () => {
  await sees(row(/demo-device/));
  const text = await row(/demo-device/).innerText();
  for (const words of ['Online', 'demo 1.0.0', 'Up to date', '3 / 3']) expect(text).toContain(words);
  expect(await browser.look('devices', row(/demo-device/))).toEqual([]);
});

test('a device shows each service with its use against its budget, and changes by itself', async () => {
  await page.getByRole('link', { name: 'demo-device' }).click();
  await sees(panel('Services'));
  for (const [service, budget] of [
    ['analyser', '96 MiB'],
    ['redis', '64 MiB'],
    ['sensor', '96 MiB'],
  ] as const) {
    const meter = panel('Services').getByRole('meter', { name: `Memory of ${service}` });
    expect(await meter.getAttribute('aria-valuetext')).toMatch(new RegExp(`^[\\d.]+ [KM]iB of ${budget}$`));
    await sees(panel('Services').getByRole('meter', { name: `CPU of ${service}` }));
  }
  await sees(main().locator('canvas'));
  expect(await browser.look('device', panel('Services'))).toEqual([]);

  await mark();
  const sensor = panel('Services').getByRole('row', { name: /^sensor/ });
  const before = await sensor.innerText();
  expect(before).not.toMatch(/restarted it/);
  expect((await wherry(['restart', 'sensor'], { WHERRY_SOCKET: demo.socket })).code).toBe(0);
  await until(async () => /restarted it/.test(await sensor.innerText()), {
    timeoutMs: 30_000,
    what: `the restart to show in ${before}`,
  });
  await until(async () => /3 of 3 running/.test(await panel('Services').innerText()), {
    timeoutMs: 30_000,
    what: 'all services to run again',
  });
  await sees(panel('History').getByText('stop.operator'));
  expect(await isMarked()).toBe(true);
});

test('a device shows its channels: who publishes how much, who keeps up', async () => {
  const channels = panel('Channels');
  const channel = (name: string) => channels.getByRole('region', { name: `Channel ${name}` });
  await sees(channel('frames').getByText('Flowing'), 30_000);
  expect(await channel('frames').innerText()).toMatch(/lossy[\s\S]*4 × 1 MiB/);
  const [camera, reader] = [/^sensor Publishing/, /^analyser Keeps up/].map((peer) =>
    channel('frames').getByRole('row', { name: peer }),
  );
  expect(await camera?.innerText()).toMatch(/\d\/s [\d.]+ MiB\/s/);
  await sees(channel('frames').getByRole('meter', { name: 'analyser is behind by' }));
  await sees(channel('readings').getByRole('row', { name: /^analyser Keeps up/ }));
  const received = await reader?.innerText();
  await until(async () => (await reader?.innerText()) !== received, {
    timeoutMs: 30_000,
    what: 'the count of messages to go up',
  });
  expect(await browser.look('device-channels', channels)).toEqual([]);
});

test('a device is asked at its page: a log runs on, it says why, it restarts; what is off there says so', async () => {
  const at = panel('At the device');
  await at.getByRole('combobox', { name: 'Service' }).selectOption('redis');
  await at.getByRole('button', { name: 'Log', exact: true }).click();
  await sees(at.getByText(/^Live, \d+ lines?$/), 30_000);
  expect(await at.getByRole('list', { name: 'Lines of redis' }).innerText()).toMatch(/Ready to accept/);
  expect(await browser.look('device-log', at)).toEqual([]);
  await at.getByRole('button', { name: 'Why', exact: true }).click();
  await sees(at.getByText('start.desired'));
  expect(await browser.look('device-why', at)).toEqual([]);
  await at.getByRole('button', { name: 'Restart…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Restart redis' }).click();
  await sees(at.getByText('The device restarts it'));
  await sees(panel('History').getByText('admin (server) restarts redis'));
  await at.getByRole('combobox', { name: 'Service' }).selectOption('sensor');
  await at.getByRole('button', { name: 'Terminal', exact: true }).click();
  await at.getByRole('button', { name: 'Run', exact: true }).click();
  await at.getByLabel('Line to type').fill('echo $((6*7))');
  await at.getByRole('button', { name: 'Enter' }).click();
  await sees(at.getByRole('log').getByText(/^42$/m));
  expect(await browser.look('device-terminal', at)).toEqual([]);
  await at.getByRole('button', { name: 'Ctrl-D' }).click();
  await sees(at.getByText('Ended with exit code 0.'));
  const download = page.waitForEvent('download');
  await at.getByRole('button', { name: 'Support bundle' }).click();
  expect((await download).suggestedFilename()).toMatch(/^support-demo-device-.*\.txt$/);
  await sees(at.getByText(/^Saved, /), 30_000);
  expect(await at.getByRole('button', { name: 'Reboot…' }).isDisabled()).toBe(true);
  await sees(
    at.getByText('Reboot: switched off by the device’s configuration (remote.reboot in agent.json)'),
  );
  await until(async () => /3 of 3 running/.test(await panel('Services').innerText()), {
    timeoutMs: 30_000,
    what: 'all services to run again',
  });
});

test('the releases stand with their size and where they run', async () => {
  await section('Releases').click();
  await sees(row(/demo 2\.0\.0/));
  expect(await row(/demo 1\.0\.0/).innerText()).toMatch(/MiB[\s\S]*1 device/);
  expect(await row(/demo 2\.0\.0/).innerText()).toMatch(/MiB[\s\S]*0 devices/);
  expect(await browser.look('releases', row(/demo 2\.0\.0/))).toEqual([]);
  await row(/demo 1\.0\.0/)
    .getByRole('link', { name: 'demo 1.0.0', exact: true })
    .click();
  await sees(main().getByRole('link', { name: 'demo-device' }));
  expect(await main().innerText()).toMatch(/redis[\s\S]*64 MiB/);
  expect(await row(/^sensor/).innerText()).toMatch(/criticality: critical\s+starts when redis is healthy/);
  expect(await row(/^redis/).innerText()).toMatch(/redis-cli -e ping[\s\S]*bus \(internal\)/);
  expect(await panel('Channels').innerText()).toMatch(
    /frames\s+lossy[\s\S]*sensor\s+analyser\s+4 × 1 MiB[\s\S]*readings\s+reliable/,
  );
  expect(await browser.look('release', main().getByRole('heading', { level: 1 }))).toEqual([]);
});

async function deploy(version: string): Promise<void> {
  await section('Releases').click();
  await page.getByRole('link', { name: `Deploy demo ${version}` }).click();
  await page.getByRole('checkbox', { name: /demo-device/ }).check();
  await sees(page.getByRole('heading', { name: 'Review' }));
}

test('a deployment goes on before the eyes, to the end', async () => {
  await deploy('2.0.0');
  expect(await browser.look('deploy', panel('Review'))).toEqual([]);
  await mark();
  await page.getByRole('button', { name: 'Deploy 2.0.0 to 1 device' }).click();
  await sees(
    page.getByRole('progressbar', { name: /demo-device: (?:Downloading|Installing|Soaking)/ }),
    60_000,
  );
  expect(await browser.look('rollout-moving', panel('Devices'))).toEqual([]);
  await sees(page.getByRole('progressbar', { name: 'Progress of demo-device: Committed' }), 60_000);
  await sees(main().getByText('Completed'));
  expect(await isMarked()).toBe(true);
  expect(await browser.look('rollout-done', panel('Devices'))).toEqual([]);
});

test('the device shows the new release', async () => {
  await main().getByRole('link', { name: 'demo-device' }).click();
  await sees(panel('Services'));
  expect(await main().innerText()).toContain('runs demo 2.0.0');
  expect(await panel('Update').innerText()).toContain('Up to date');
});

/** A third release, really signed: 2.0.0 and one layer more. Resolves with that layer's digest. */
async function pushThird(): Promise<string> {
  const releases = join(dataDir, 'signer/releases');
  const dir = join(releases, 'demo-3.0.0');
  await cp(join(releases, 'demo-2.0.0'), dir, { recursive: true });
  const layer = await noiseLayer(dataDir, 300_000);
  await copyFile(layer.path, blobPath(dir, layer.verity));
  const manifest: Manifest = JSON.parse(await readFile(manifestPath(dir), 'utf8'));
  const image = manifest.services['analyser']?.images[PLATFORM];
  image?.layers.push({ verity: layer.verity, size: layer.size, diffId: layer.verity });
  await writeFile(manifestPath(dir), JSON.stringify({ ...manifest, version: '3.0.0' }));
  await signRelease({ dir, keysDir: join(dataDir, 'signer/keys') });
  const client = new ServerClient(demo.url);
  await client.signIn('admin', demo.password);
  await pushRelease({ dir, server: demo.url, token: await client.apiToken('ui test') });
  return layer.verity;
}

test('a release that was tampered with on the server is refused with its reason, and 2.0.0 runs on', async () => {
  await tamper({ dataDir: join(dataDir, 'server') }, await pushThird());
  await deploy('3.0.0');
  await page.getByRole('button', { name: 'Deploy 3.0.0 to 1 device' }).click();
  await sees(page.getByRole('progressbar', { name: 'Progress of demo-device: Refused' }), 60_000);
  const attempt = await panel('Devices').innerText();
  expect(attempt).toContain('The data is not what was signed');
  expect(attempt).toMatch(/Cannot accept blob [0-9a-f]{12}: piece \d+ came wrong 3 times/);
  expect(attempt).toContain('refused.blob-digest');
  await sees(main().getByRole('heading', { level: 1 }).locator('..').getByText('Failed', { exact: true }));
  expect(await browser.look('rollout-refused', panel('Devices'))).toEqual([]);

  await main().getByRole('link', { name: 'demo-device' }).click();
  await sees(panel('Update').getByText('refused.blob-digest'));
  expect(await panel('Update').innerText()).toContain('The data is not what was signed');
  expect(await panel('Services').innerText()).toContain('3 of 3 running');
  expect(await main().innerText()).toContain('runs demo 2.0.0');
  await sees(panel('History').getByText('refused.blob-digest'));
  expect(await browser.look('device-refused', panel('Update'))).toEqual([]);

  await section('Devices').click();
  await sees(row(/demo-device/).getByText('Refused'));
  expect(await browser.look('devices-refused', row(/demo-device/))).toEqual([]);
});

test('the rollouts stand in a list; the enrolment dialog shows a join string once', async () => {
  await section('Rollouts').click();
  await sees(row(/demo 3\.0\.0/));
  expect(await row(/demo 3\.0\.0/).innerText()).toContain('1 failed');
  expect(await browser.look('rollouts', row(/demo 3\.0\.0/))).toEqual([]);
  await section('Devices').click();
  await page.getByRole('button', { name: 'Enrol a device' }).click();
  await page.getByRole('button', { name: 'Make a join string' }).click();
  const field = page.getByRole('dialog').getByLabel('Join string', { exact: true });
  await sees(field);
  expect(await browser.look('enrol', page.getByRole('dialog'))).toEqual([]);
  await page.getByRole('button', { name: 'Done' }).click();
});

test('no page complained, and Ctrl-C leaves nothing behind', async () => {
  expect(browser.complaints).toEqual([]);
  await browser.close();
  expect(await demo.interrupt()).toBe(0);
  expect(demo.output).not.toContain('Left behind');
});
