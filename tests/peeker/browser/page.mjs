// SPDX-License-Identifier: Apache-2.0
// The page in Chromium: that it shows what the engine has, and says so when it cannot.
// Run by script/test --suite browser, or: BUILD=build/gcc NPM=build/npm node page.mjs
import { away } from './away.mjs';
import { doubt } from './doubt.mjs';
import { freeze } from './freeze.mjs';
import { axeSource, check, closePage, dsm, endAll, figure, finish, openBrowser, openPage, pause, set, shots, shows, startEngine, startViewer, state, stop, within, word, writeTable } from './setup.mjs';
import { token } from './token.mjs';
import { trend } from './trend.mjs';

const WIDTHS = [[320, 568], [390, 844], [820, 1180], [1280, 800], [1920, 1080], [3840, 2160]];

async function values(page) {
	set('drilling.rop', 12.34, 'drilling.wob', 88, 'drilling.state', '<img src=x onerror=alert(1)> & "ahead"',
		'drilling.running', 'true', 'drilling.ticket', '18446744073709551615', 'drilling.frame', '00ff');
	check('a number with its precision', await shows(page, 'drilling.rop', '12.3'), await figure(page, 'drilling.rop'));
	check('its unit', await page.locator('#cells [data-cell="drilling.rop"] small').textContent() === 'm/h');
	check('a text, as text', await figure(page, 'drilling.state') === '<img src=x onerror=alert(1)> & "ahead"');
	check('a bool', await figure(page, 'drilling.running') === 'true');
	check('64 bits to the digit', await figure(page, 'drilling.ticket') === '18446744073709551615');
	check('bytes', await figure(page, 'drilling.frame') === '00ff');
	check('never written, by word', await state(page, 'panel.brake') === '– never written');
	check('good, by word', await state(page, 'drilling.rop') === '● good');
	for (const value of [1.5, 77.7, 199.9, 0]) {
		set('drilling.rop', value);
		const theirs = Number(dsm('get', '--format', 'raw', 'drilling.rop').trim().split(/\s+/).find((w) => !Number.isNaN(Number(w))));
		check(`as the engine has it: ${value}`, theirs === value && await shows(page, 'drilling.rop', value.toFixed(1)));
	}
	set('drilling.rop', 100);
	const width = () => page.locator('#cells [data-cell="drilling.rop"] rect.at').getAttribute('width');
	check('the range bar', await within(async () => await width() === '500'), await width());
	const line = () => page.locator('#cells [data-cell="drilling.rop"] .spark path').getAttribute('d');
	check('the sparkline', await within(async () => (await line()).includes('L')), await line());
	const ago = () => page.locator('#cells [data-cell="drilling.rop"] .age').textContent();
	check('an age that grows', await within(async () => parseFloat(await ago()) > 1), await ago());
	check('an owner that is not there', (await page.locator('[data-group="panel"] .owner').textContent()).includes('operator vacant'));
	check('the bar', await within(async () => await word(page) === 'RUNNING'), await word(page));
	set('--owner', 'operator', 'panel.brake', 7.5);
	check('an owner that has gone: stale, by word', await within(async () => await state(page, 'panel.brake') === '⚠ stale owner'), await state(page, 'panel.brake'));
	check('in brackets', await figure(page, 'panel.brake') === '(7.5)', await figure(page, 'panel.brake'));
	check('amber', await within(async () => await page.locator('#banner').getAttribute('class') === 'warn'));
	let told, cells;
	check('the bar counts what is what', await within(async () => {
		({ cells } = await (await fetch(`${page.url()}api/v1/health`)).json());
		told = await page.locator('#summary').textContent();
		const parts = Object.entries(cells).filter(([, n]) => n);
		return parts.length >= 3 && parts.every(([what, n]) => told.includes(`${n} ${what}`)) &&
			told.startsWith(`${parts.reduce((all, [, n]) => all + n, 0)} cells`);
	}), [told, cells]);
}

async function tools(page) {
	const seen = () => page.locator('#cells .card:not([hidden])').count();
	const all = await seen();
	await page.fill('#search', 'RO');
	check('search', await seen() === 1, await seen());
	await page.fill('#search', 'drilling.*o?');
	check('a glob', await seen() === 2, await seen());
	check('how many', (await page.locator('#hits').textContent()).startsWith('2 of '));
	await page.keyboard.press('Escape');
	check('Esc gives all back', await seen() === all);
	await page.keyboard.press('/');
	check('/ searches', await page.evaluate(() => document.activeElement.id === 'search'));
	await page.keyboard.press('Escape');
	await page.click('#cells [data-cell="drilling.wob"] .pin');
	check('a pin', await page.locator('#pinned [data-cell="drilling.wob"] .figure').textContent() === '88.0');
	await page.reload();
	check('it is remembered', await within(async () => await page.locator('#pinned .card').count() === 1));
	const larger = await page.evaluate(() => parseFloat(getComputedStyle(document.querySelector('#pinned .value')).fontSize) >
		parseFloat(getComputedStyle(document.querySelector('#cells .value')).fontSize));
	check('and larger', larger);
	await page.keyboard.press('z');
	check('folded', await page.locator('#cells details[open]').count() === 0);
	await page.keyboard.press('z');
	await page.keyboard.press('?');
	check('help', await page.locator('#help-text').isVisible());
	await page.click('#help-close');
	const theme = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
	const before = await theme();
	await page.click('#theme');
	check('light or dark', await theme() !== before);
	await page.click('#theme');
}

async function layout(browser, url) {
	for (const [width, height] of WIDTHS) {
		const page = await openPage(browser, url, { viewport: { width, height }, hasTouch: width < 900 });
		await page.click('#show-trend');
		const [content, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
		check(`${width} px: nothing beside the screen`, content <= room, [content, room]);
		const small = await page.evaluate(() => [...document.querySelectorAll('button, input, summary, a:not(.skip)')]
			.map((e) => [e.id || e.className || e.tagName, e.type === 'checkbox' ? e.parentElement.getBoundingClientRect() : e.getBoundingClientRect()])
			.filter(([, r]) => r.width && (r.height < 43.5 || r.width < 43.5)).map(([id, r]) => [id, r.width, r.height]));
		check(`${width} px: nothing to touch is below 44 px`, small.length === 0, small);
		await closePage(page, `${width} px`);
	}
}

async function axe(page, what) {
	await page.evaluate(axeSource);
	const found = await page.evaluate(() => axe.run());
	const grave = found.violations.filter((v) => ['serious', 'critical'].includes(v.impact));
	check(`axe, ${what}: nothing serious (${found.passes.length} rules passed)`, grave.length === 0,
		grave.map((v) => [v.id, v.nodes.slice(0, 3).map((n) => n.html + n.failureSummary)]));
}

// How many animations begin on a page while a value changes.
async function animations(page) {
	await page.evaluate(() => {
		window.moved = 0;
		addEventListener('animationstart', () => window.moved++, true);
	});
	for (const value of [41, 42, 43]) {
		set('drilling.rop', value);
		await shows(page, 'drilling.rop', `${value}.0`);
	}
	await pause(200);
	return page.evaluate(() => window.moved + document.getAnimations().length);
}

async function keysOff(page) {
	const frozen = async () => await page.locator('#freeze').getAttribute('aria-pressed') === 'true';
	await page.keyboard.press('f');
	check('control: f freezes', await frozen());
	await page.keyboard.press('f');
	await page.keyboard.press('?');
	await page.uncheck('#keys');
	await page.click('#help-close');
	await page.keyboard.press('f');
	check('keys of one letter, switched off: f does nothing', !await frozen());
	await page.reload();
	await page.waitForSelector('.card');
	await page.keyboard.press('f');
	check('which is remembered', !await frozen());
}

// A phone with a notch: nothing lies below it.
async function insets(browser, url) {
	const page = await openPage(browser, url, { viewport: { width: 844, height: 390 } });
	const session = await page.context().newCDPSession(page);
	const edges = () => page.evaluate(() => [parseFloat(getComputedStyle(document.body).paddingLeft),
		document.getElementById('word').getBoundingClientRect().top]);
	const before = await edges();
	await session.send('Emulation.setSafeAreaInsetsOverride', { insets: { left: 47, top: 30, right: 47, bottom: 21 } });
	check('safe-area insets are kept free', await within(async () => String(await edges()) === String([before[0] + 47, before[1] + 30])), [before, await edges()]);
	await closePage(page, 'insets');
}

async function access(browser, url) {
	for (const colorScheme of ['light', 'dark']) {
		const page = await openPage(browser, url, { colorScheme, bypassCSP: true });
		await page.click('#cells [data-cell="drilling.rop"] .pen');
		await page.click('#cells [data-cell="drilling.wob"] .pin');
		await within(async () => await page.locator('#chart canvas').count() === 1);
		await axe(page, colorScheme);
		await page.click('#help');
		await axe(page, `${colorScheme}, help`);
		await closePage(page, colorScheme);
	}
	for (const reducedMotion of ['no-preference', 'reduce']) {
		const page = await openPage(browser, url, { reducedMotion });
		const moved = await animations(page);
		check(`reduced motion, ${reducedMotion}: ${moved} move`, reducedMotion === 'reduce' ? moved === 0 : moved > 0);
		await closePage(page, reducedMotion);
	}
	const page = await openPage(browser, url);
	check('a status for screen readers', await within(async () => /cells:/.test(await page.locator('[role=status]').textContent())));
	const told = await page.evaluate(() => new Promise((done) => {
		let n = 0;
		new MutationObserver(() => n++).observe(document.getElementById('status'), { childList: true });
		setTimeout(() => done(n), 6000);
		for (let i = 0; i < 50; i++)
			setTimeout(() => document.getElementById('freeze').click(), i * 100);
	}));
	check(`it speaks seldom (${told} times in 6 s)`, told <= 2, told);
	await keysOff(page);
	await closePage(page, 'status and keys');
	await insets(browser, url);
}

async function engineGone(page, engine, table) {
	engine.kill('SIGSTOP');
	check('engine stopped: NO HEARTBEAT', await within(async () => await word(page) === 'NO HEARTBEAT'), await word(page));
	check('stale, by mark and word', await within(async () => await state(page, 'drilling.rop') === '⚠ stale engine'));
	check('its last value in brackets', /^\(.*\)$/.test(await figure(page, 'drilling.rop')));
	await axe(page, 'engine silent');
	engine.kill('SIGCONT');
	check('it goes on: RUNNING', await within(async () => await word(page) === 'RUNNING'));
	await stop(engine, 'SIGKILL');
	check('engine killed: LOST', await within(async () => await word(page) === 'LOST'));
	const again = await startEngine(table);
	check('back again: RUNNING', await within(async () => await word(page) === 'RUNNING', 20000));
	set('drilling.rop', 33);
	check('and its values', await shows(page, 'drilling.rop', '33.0'));
	return again;
}

async function otherTable(page, engine) {
	await stop(engine);
	const again = await startEngine(writeTable('other.yaml', '  - name: extra\n    owner: engine\n    cells:\n      - {name: added, type: i64}\n'));
	check('another table: its cells', await within(async () => await page.locator('[data-cell="extra.added"]').count() === 1, 20000));
	return again;
}

async function viewerGone(page, viewer) {
	const { port } = viewer;
	await stop(viewer, 'SIGKILL');
	check('viewer gone: OUT OF DATE', await within(async () => /^OUT OF DATE for \d/.test(await word(page))), await word(page));
	const first = parseFloat((await word(page)).match(/[\d.]+/)[0]);
	check('and for how long', await within(async () => parseFloat((await word(page)).match(/[\d.]+/)[0]) > first + 1));
	await axe(page, 'viewer gone');
	check('the values are marked', await page.evaluate(() => document.body.classList.contains('old')));
	set('drilling.rop', 64);
	const again = await startViewer(port);
	check('viewer back: all values by itself', await shows(page, 'drilling.rop', '64.0'), await figure(page, 'drilling.rop'));
	check('and no longer out of date', await within(async () => await word(page) === 'RUNNING'));
	return again;
}

async function measure(browser, url) {
	const took = [];
	for (let i = 0; i < 5; i++) {
		const context = await browser.newContext(), page = await context.newPage(), began = performance.now();
		await page.goto(url, { waitUntil: 'commit' });
		await page.waitForFunction(() => document.querySelector('#cells [data-cell="drilling.rop"] .figure')?.textContent.length > 1);
		took.push(performance.now() - began);
		await context.close();
	}
	console.log(`first values after ${took.map((ms) => ms.toFixed(0)).join(', ')} ms (measured, not asserted)`);
	let bytes = 0;
	for (const path of ['', 'app.js', 'cells.js', 'stream.js', 'trend.js', 'style.css', 'icon.svg', 'manifest.webmanifest', 'uplot.js', 'uplot.css']) {
		const answer = await fetch(url + path, { headers: { 'Accept-Encoding': 'gzip' } });
		check(`/${path} is there`, answer.status === 200, answer.status);
		bytes += Number(answer.headers.get('content-length'));
	}
	const manifest = await (await fetch(`${url}manifest.webmanifest`)).json();
	const icons = await Promise.all(manifest.icons.map(async ({ src }) => (await fetch(new URL(src, url))).status));
	check('the manifest: a name, a start, an icon that is there', manifest.name && manifest.display === 'standalone' &&
		(await fetch(new URL(manifest.start_url, url))).status === 200 && icons.length > 0 && icons.every((s) => s === 200), manifest);
	check(`the bundle is within 150 kB, packed (${bytes} bytes)`, bytes > 10000 && bytes <= 150000, bytes);
}

async function screenshots(browser, url) {
	for (let i = 0; i < 20; i++) {
		set('drilling.rop', 60 + 20 * Math.sin(i / 3), 'drilling.wob', 200 + 40 * Math.cos(i / 4));
		await pause(100);
	}
	for (const [device, width, height, colorScheme] of [['phone', 390, 844, 'dark'], ['tablet', 1180, 820, 'light'], ['desktop', 1680, 1000, 'light']]) {
		const page = await openPage(browser, url, { viewport: { width, height }, colorScheme });
		await pause(500);
		await page.screenshot({ path: `${shots}/${device}.png` });
		await closePage(page, device);
	}
	console.log(`screenshots are in ${shots}`);
}

async function main() {
	const table = writeTable('table.yaml');
	let engine = await startEngine(table), viewer = await startViewer();
	const browser = await openBrowser();
	const page = await openPage(browser, viewer.url, { bypassCSP: true }); // axe is put into it
	await values(page);
	await tools(page);
	// these mostly wait, each with a viewer and cells of its own
	const meanwhile = Promise.all([away(browser), token(browser), doubt(browser)]);
	meanwhile.catch(() => {}); // what went wrong is said where it is waited for
	await freeze(browser, viewer.url);
	await trend(browser, viewer.url);
	await layout(browser, viewer.url);
	await access(browser, viewer.url);
	await screenshots(browser, viewer.url);
	await meanwhile;
	await measure(browser, viewer.url);
	engine = await engineGone(page, engine, table);
	engine = await otherTable(page, engine);
	check('no error in the console until then', page.faults.length === 0, page.faults);
	viewer = await viewerGone(page, viewer);
	await stop(viewer);
	check('the viewer ends as asked', viewer.exitCode === 143, [viewer.exitCode, viewer.said]);
	check('and has complained of nothing', !/Sanitizer|runtime error/.test(viewer.said), viewer.said);
	await closePage(page, 'to the end', /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET/);
	await browser.close();
}

let status = 1;
try {
	await main();
} catch (e) {
	check(`no exception: ${e.stack}`, false);
} finally {
	await endAll();
	status = finish();
}
process.exit(status);
