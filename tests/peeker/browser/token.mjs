// SPDX-License-Identifier: Apache-2.0
// A viewer that asks for an access token, as a browser meets it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { check, closePage, openPage, set, shows, startViewer, stop, within, work } from './setup.mjs';

const TOKEN = 'correct-horse-battery-staple';

export async function token(browser) {
	const file = join(work, 'token');
	writeFileSync(file, `${TOKEN}\n`, { mode: 0o600 });
	const viewer = await startViewer(0, '--web-token', file), base = new URL(viewer.url).origin;
	check('the address that is printed has the token', viewer.url.endsWith(`?token=${TOKEN}`), viewer.url);
	const page = await openPage(browser, `${base}/`);
	check('without it: it is asked for', await page.locator('#token').isVisible());
	check('and no value is there', await page.locator('.card').count() === 0);
	check('in words', /token/.test(await page.locator('#summary').textContent()));
	await page.fill('#token-text', `${TOKEN}x`);
	await page.click('#token button');
	check('a wrong one', await within(async () => /not the access token/.test(await page.locator('body').textContent())));
	await page.goto(`${base}/`);
	await page.waitForSelector('#token:not([hidden])');
	await page.fill('#token-text', TOKEN);
	await page.click('#token button');
	await page.waitForSelector('.card');
	set('aside.token', 4711);
	check('the right one: values, by a stream that has the cookie', await shows(page, 'aside.token', '4711'));
	check('it is not in the address', page.url() === `${base}/`, page.url());
	check('nor can a script read it', await page.evaluate(() => document.cookie) === '');
	check('the form is gone', await page.locator('#token').isHidden());
	await page.reload();
	check('and it is remembered', await shows(page, 'aside.token', '4711'));
	await closePage(page, 'token', /401 \(Unauthorized\)|favicon\.ico$/);
	await stop(viewer);
}
