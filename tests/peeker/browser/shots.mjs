// SPDX-License-Identifier: Apache-2.0
// Screenshots for the README: the rig's log at twenty times its speed, on phone, tablet, desktop.
// Run by script/screenshots.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { endAll, name, openBrowser, openPage, pause, run, shots, startEngine, startViewer, uri, within, work } from './setup.mjs';

const rig = 'examples/rig', pinned = ['drilling.rop', 'drilling.wob', 'rotary.torque'];

async function take(browser, url, [device, width, height, colorScheme, pens]) {
	const page = await openPage(browser, url, { viewport: { width, height }, colorScheme });
	await page.evaluate((pins) => localStorage.setItem('peeker.pins', JSON.stringify(pins)), pinned.slice(0, device === 'phone' ? 1 : 3));
	await page.reload();
	await page.waitForSelector('#pinned .card');
	for (const pen of pens)
		await page.click(`#cells [data-cell="${pen}"] .pen`);
	if (pens.length)
		await within(async () => await page.locator('#chart canvas').count() === 1);
	await pause(1500);
	await page.evaluate(() => scrollTo(0, 0));
	await page.screenshot({ path: join(shots, `${device}.png`) });
	await page.context().close();
}

async function main() {
	const table = join(work, 'rig.yaml');
	writeFileSync(table, readFileSync(`${rig}/rig.yaml`, 'utf8').replace(/^region:.*/m, `region: ${name}`));
	await startEngine(table);
	run('examples/rig-operator', uri);
	run('examples/rig-replay', '--uri', uri, '--speed', '20', '--from', '7700', '--loop',
		`${rig}/data/SampleData1.csv`, `${rig}/data/RigStatesForSampleData1.txt`);
	const { url } = await startViewer();
	console.log('Letting the rig drill for a minute.');
	await pause(Number(process.env.SECONDS_TO_DRILL || 60) * 1000);
	const browser = await openBrowser();
	await take(browser, url, ['phone', 390, 760, 'dark', []]);
	await take(browser, url, ['tablet', 1024, 768, 'light', []]);
	await take(browser, url, ['desktop', 1440, 900, 'light', ['hoisting.hookload', 'hoisting.block_height']]);
	await browser.close();
}

try {
	await main();
} finally {
	await endAll();
}
