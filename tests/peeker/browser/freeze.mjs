// SPDX-License-Identifier: Apache-2.0
// Freeze: what is shown is what was there at that moment, wherever one scrolls, pins and searches.
import { check, closePage, figure, openPage, pause, set, shows, within } from './setup.mjs';

const ASIDE = ['aside.x', 'aside.y', 'aside.z'];

async function looks(page, other) {
	const last = page.locator('#cells [data-cell="aside.x"]');
	await last.scrollIntoViewIfNeeded();
	check('frozen: a card scrolled to has the value of then', await shows(page, 'aside.x', '1'), await figure(page, 'aside.x'));
	const age = () => last.locator('.age').textContent();
	const before = await age();
	await page.click(`#cells [data-cell="${other}"] .pin`);
	check('a card that is pinned too', await page.locator(`#pinned [data-cell="${other}"] .figure`).textContent() === '1');
	await page.fill('#search', 'aside.z');
	check('and one that is searched', await shows(page, 'aside.z', '1'), await figure(page, 'aside.z'));
	await page.keyboard.press('Escape');
	check('its age stands', before !== '' && await age() === before, [before, await age()]);
}

export async function freeze(browser, url) {
	const page = await openPage(browser, url, { viewport: { width: 390, height: 560 } });
	const all = (value) => set('drilling.rop', value, ...ASIDE.flatMap((cell) => [cell, value]));
	all(1);
	const owner = () => page.locator('[data-group="panel"] .owner').textContent();
	check('before it', await shows(page, 'drilling.rop', '1.0'));
	await pause(500); // the other cells come with the same message
	await page.click('#freeze');
	const owned = await owner();
	all(2);
	await pause(1500);
	check('frozen: the value stands', await figure(page, 'drilling.rop') === '1.0');
	check('and says since when', (await page.locator('#freeze').textContent()).startsWith('Frozen at'));
	const since = () => page.locator('#since').textContent();
	const before = await since();
	check('the bar goes on', await within(async () => await since() !== before));
	await looks(page, 'aside.y');
	await page.evaluate(() => { document.querySelector('#cells .card').marked = true; });
	await page.context().setOffline(true);
	await page.context().setOffline(false);
	check('a connection that begins again', await within(() => page.evaluate(() => !document.querySelector('#cells .card').marked)));
	await looks(page, 'aside.z');
	check('and no owner is forgotten', owned !== '' && await owner() === owned, [owned, await owner()]);
	await page.keyboard.press('f');
	check('live again', await shows(page, 'drilling.rop', '2.0'), await figure(page, 'drilling.rop'));
	await page.locator('#cells [data-cell="aside.x"]').scrollIntoViewIfNeeded();
	check('all of it', await shows(page, 'aside.x', '2'), await figure(page, 'aside.x'));
	await closePage(page, 'freeze');
}
