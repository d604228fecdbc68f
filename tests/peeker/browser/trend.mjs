// SPDX-License-Identifier: Apache-2.0
// The trend: lines, cursor, zoom, pause, CSV; that it follows the time, and what it does unseen.
import { readFileSync } from 'node:fs';
import { check, closePage, openPage, pause, set, shows, within } from './setup.mjs';

// What a click on CSV brings: its rows, each split; .text is as it came.
async function csv(page) {
	const [download] = await Promise.all([page.waitForEvent('download'), page.click('#trend-csv')]);
	const text = readFileSync(await download.path(), 'utf8').trim().split('\n');
	return { text, rows: text.slice(2).map((line) => line.split(',')).map(([t, ...values]) => [Date.parse(t), ...values]) };
}

// The ends of the time axis, in s.
const axis = (page) => page.evaluate(() => ['from', 'to'].map((end) => Number(document.getElementById('chart').dataset[end])));
const span = async (page) => (([from, to]) => to - from)(await axis(page));
const moves = async (page, by) => {
	const [, first] = await axis(page);
	return within(async () => (await axis(page))[1] >= first + by);
};

async function follows(page) {
	check('the axis follows the time', await moves(page, 3), await axis(page));
	check('with two minutes on it', Math.abs(await span(page) - 120) < 1, await axis(page));
	await page.click('#trend-in');
	check('zoom in: half of it', Math.abs(await span(page) - 60) < 1, await axis(page));
	check('which follows', await moves(page, 1));
	await page.click('#trend-out');
	await page.click('#trend-out');
	check('zoom out: twice', Math.abs(await span(page) - 240) < 1, await axis(page));
	await page.click('#trend-all');
	check('Whole: as at first', Math.abs(await span(page) - 120) < 1, await axis(page));
}

async function pauses(page) {
	set('drilling.rop', 60);
	await shows(page, 'drilling.rop', '60.0');
	await page.click('#trend-pause');
	const before = await axis(page), began = Date.now();
	set('drilling.rop', 61);
	await pause(2500);
	check('paused: the axis stands', String(await axis(page)) === String(before), [before, await axis(page)]);
	const ended = Date.now();
	await page.click('#trend-in');
	check('zoom in: about the middle', await span(page) < 61 && (await axis(page))[0] > before[0], await axis(page));
	await page.click('#trend-all');
	await page.click('#trend-pause');
	check('it goes on', await moves(page, 1));
	const { rows } = await csv(page), meanwhile = rows.filter(([t]) => t > began && t < ended);
	check(`what came meanwhile is there (${meanwhile.length} rows)`, meanwhile.length > 0 && meanwhile.some((r) => r[1] === '61'), meanwhile);
}

async function hides(page) {
	const hide = (hidden) => page.evaluate((value) => {
		value ? Object.defineProperty(document, 'hidden', { get: () => true, configurable: true }) : delete document.hidden;
		document.dispatchEvent(new Event('visibilitychange'));
	}, hidden);
	await hide(true);
	const began = Date.now();
	await pause(2500);
	const ended = Date.now();
	await hide(false);
	await moves(page, 1);
	const { rows } = await csv(page), meanwhile = rows.filter(([t]) => t > began + 300 && t < ended);
	const empty = rows.filter(([t, ...values]) => t >= began - 300 && t < ended && values.every((v) => v === ''));
	check('unseen: nothing is recorded', meanwhile.every((r) => r[1] === ''), meanwhile);
	check('and a gap says so', empty.length >= 1, /* more if this machine stood still meanwhile */ [began, ended, rows.slice(-20)]);
}

export async function trend(browser, url) {
	const page = await openPage(browser, url);

	set('drilling.rop', 100);
	await pause(2500); // as long as a bucket of the history, at least
	await page.click('#cells [data-cell="drilling.rop"] .pen');
	await page.click('#cells [data-cell="drilling.torque"] .pen');
	check('a chart', await within(async () => await page.locator('#chart canvas').count() === 1));
	check('two pens', await within(async () => await page.locator('#pens li').count() === 2)); // each asks for its history first
	for (let i = 0; i < 12; i++) {
		set('drilling.rop', 50 + i * 5, 'drilling.torque', i);
		await pause(120);
	}
	await shows(page, 'drilling.rop', '105.0');
	await pause(600);
	const inked = () => page.evaluate(() => {
		const c = document.querySelector('#chart canvas'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
		let n = 0;
		for (let i = 0; i < d.length; i += 4)
			n += d[i + 3] > 200 && Math.max(d[i], d[i + 1], d[i + 2]) - Math.min(d[i], d[i + 1], d[i + 2]) > 60;
		return n;
	});
	check('with lines in it', await within(async () => await inked() > 100), await inked());
	const legend = () => page.locator('.u-legend').textContent();
	await page.evaluate(() => scrollTo(0, 0));
	const box = await page.locator('#chart .u-over').boundingBox();
	await page.mouse.move(box.x + box.width - 5, box.y + box.height / 2);
	check('the cursor tells values', await within(async () => /drilling\.rop \(m\/h\):?\s*\d+\.\d/.test(await legend())), await legend());
	await page.mouse.move(box.x + box.width * 0.7, box.y + 20);
	await page.mouse.down();
	await page.mouse.move(box.x + box.width * 0.95, box.y + 30, { steps: 5 });
	const before = await axis(page);
	await page.mouse.up();
	check('drag to zoom', await within(async () => (await axis(page))[0] > before[0] && await span(page) < 60), await axis(page));
	const near = await axis(page);
	await pause(1000);
	check('which stands still', String(await axis(page)) === String(near), [near, await axis(page)]);
	await page.mouse.dblclick(box.x + box.width / 2, box.y + 20);
	check('a double click goes back', await within(async () => Math.abs(await span(page) - 120) < 1), await axis(page));
	const { text, rows } = await csv(page), first = rows[0][0], last = rows.at(-1)[0];
	check('CSV: names', text[0] === 'time,drilling.rop,drilling.torque', text[0]);
	check(`CSV: also what was before the pen (${(last - first) / 1000} s)`, last - first > 100000 && rows.slice(0, 480).some((r) => r[1] === '100'), rows.slice(0, 3));
	check('CSV: units', text[1] === ',m/h,kNm', text[1]);
	check('CSV: what was set', rows.some((r) => r[1] === '105' && r[2] === '11'), rows.slice(-3));
	await follows(page);
	await pauses(page);
	await hides(page);
	await page.keyboard.press('t');
	check('t closes it', await page.locator('#trend').isHidden());
	await closePage(page, 'trend');
}
