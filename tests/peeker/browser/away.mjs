// SPDX-License-Identifier: Apache-2.0
// A page that sleeps, is in the background, or loses the network: it gives its connection back, and
// after each of them has everything anew. By a viewer of its own, whose counters are this page's.
import net from 'node:net';
import { check, closePage, figure, openPage, pause, set, shows, startViewer, stop, within, word } from './setup.mjs';

const CELL = 'aside.away';
let value = 1000;

async function viewers(viewer) {
	const text = await (await fetch(`${viewer.url}metrics`)).text();
	return Number(text.match(/^dsm_web_viewers (\d+)$/m)[1]);
}

// A table that comes makes all cards anew: has one come since?
const mark = (page) => page.evaluate(() => { document.querySelector('#cells .card').marked = true; });
const anew = (page) => within(() => page.evaluate(() => !document.querySelector('#cells .card')?.marked), 30000);

// While it is away the value changes; afterwards it is shown, and the table has come again.
async function comesBack(page, what, goAway, comeBack) {
	await mark(page);
	await goAway();
	set(CELL, ++value);
	await comeBack();
	check(`${what}: the table anew`, await anew(page));
	check(`${what}: the value of now`, await shows(page, CELL, String(value)), await figure(page, CELL));
	check(`${what}: and RUNNING`, await within(async () => await word(page) === 'RUNNING'), await word(page));
}

const hide = (page, hidden) => page.evaluate((is) => {
	is ? Object.defineProperty(document, 'hidden', { get: () => true, configurable: true }) : delete document.hidden;
	document.dispatchEvent(new Event('visibilitychange'));
}, hidden);

async function background(page, viewer) {
	check('one page, one stream', await within(async () => await viewers(viewer) === 1), await viewers(viewer));
	await hide(page, true);
	await pause(3000);
	check('in the background for a moment: it is kept', await viewers(viewer) === 1, await viewers(viewer));
	await comesBack(page, 'in the background', async () => {
		check('for longer: it is given back', await within(async () => await viewers(viewer) === 0, 40000), await viewers(viewer));
	}, () => hide(page, false));
	check('and taken again', await viewers(viewer) === 1, await viewers(viewer));
}

async function backAndForward(page, viewer) {
	await mark(page);
	await page.evaluate(() => { window.kept = true; });
	await page.goto(`${viewer.url}icon.svg`);
	check('another page: the stream ends', await within(async () => await viewers(viewer) === 0), await viewers(viewer));
	set(CELL, ++value);
	await page.goBack({ waitUntil: 'commit' }).catch(() => {}); // of a page that was kept nothing is loaded
	await page.waitForSelector('.card');
	check('and back: the browser had kept the page', await page.evaluate(() => window.kept === true));
	check('and back: the table anew', await anew(page));
	check('and back: the value of now', await shows(page, CELL, String(value)), await figure(page, CELL));
}

async function network(page) {
	const offline = (is) => page.context().setOffline(is);
	await comesBack(page, 'the network returns', () => offline(true), () => offline(false));
}

// Between page and viewer: passes everything on, until what passes is to be swallowed.
async function startProxy(port) {
	const links = new Set();
	const server = net.createServer((near) => {
		const far = net.connect(port, '127.0.0.1'), link = { near, far };
		links.add(link);
		near.pipe(far).pipe(near);
		for (const [one, other] of [[near, far], [far, near]]) {
			one.on('error', () => other.destroy());
			one.on('close', () => { links.delete(link); other.destroy(); });
		}
	});
	await new Promise((done) => server.listen(0, '127.0.0.1', done));
	return {
		url: `http://127.0.0.1:${server.address().port}/`,
		// the sockets stay, and nothing comes through them any more
		swallow: () => links.forEach(({ near, far }) => { far.unpipe(near); far.resume(); }),
		end: () => { server.close(); links.forEach(({ near }) => near.destroy()); },
	};
}

async function silence(browser, viewer) {
	const proxy = await startProxy(viewer.port), page = await openPage(browser, proxy.url);
	await comesBack(page, 'a socket that has gone silent', async () => {
		proxy.swallow();
		check('a silence is told', await within(async () => /^OUT OF DATE/.test(await word(page))), await word(page));
	}, () => {});
	await closePage(page, 'silence');
	proxy.end();
}

// A browser that stops a page's timers says so when it lets them go on.
async function asleep(page) {
	const session = await page.context().newCDPSession(page);
	await comesBack(page, 'a tab that was stopped', async () => {
		await session.send('Page.setWebLifecycleState', { state: 'frozen' });
		await pause(1000);
	}, async () => {
		await session.send('Page.setWebLifecycleState', { state: 'active' });
		await page.evaluate(() => document.dispatchEvent(new Event('resume'))); // not sent to a page in sight
	});
}

export async function away(browser) {
	const viewer = await startViewer(), page = await openPage(browser, viewer.url);
	set(CELL, value);
	await background(page, viewer);
	await asleep(page);
	await network(page);
	await backAndForward(page, viewer);
	await silence(browser, viewer);
	await closePage(page, 'away', /ERR_INTERNET_DISCONNECTED|ERR_NETWORK_CHANGED|favicon\.ico$/);
	await stop(viewer);
}
