// SPDX-License-Identifier: Apache-2.0
// What the tests in a browser share: an engine, a viewer, a browser, checks that count.
// $BUILD is the build folder; playwright-core and axe-core are in $NPM (build/npm).
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const build = resolve(process.env.BUILD), npm = resolve(process.env.NPM);
const from = createRequire(`${npm}/`);
export const { chromium } = from('playwright-core');
export const axeSource = readFileSync(from.resolve('axe-core/axe.min.js'), 'utf8');
export const shots = resolve(process.env.SHOTS || join(build, 'screenshots'));
export const work = mkdtempSync(join(tmpdir(), 'peeker-browser-'));
export const patience = Number(process.env.DSM_TEST_PATIENCE || 1) * 10000;

let passed = 0, failed = 0;

export function check(what, good, seen) {
	good ? passed++ : failed++;
	console.log(good ? `ok ${what}` : `not ok ${what}`);
	if (!good && seen !== undefined)
		console.log(`#   saw: ${JSON.stringify(seen)}`.slice(0, 2000));
}

export function finish() {
	console.log(`${passed} passed, ${failed} failed`);
	return failed ? 1 : 0;
}

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// Until test() is true, or patience is over; whether it became so.
export async function within(test, ms = patience) {
	for (const end = Date.now() + ms; Date.now() < end; await pause(50))
		if (await test())
			return true;
	return test();
}

// ---- programs ----

const running = new Set();
export const name = process.env.ENGINE_NAME || `page-${process.pid}`;
export const uri = `shm://${name}`;

function start(program, args, log) {
	const child = spawn(join(build, program), args, { stdio: ['ignore', 'pipe', 'pipe'] });
	child.said = '';
	child.stdout.on('data', (text) => { child.said += text; });
	child.stderr.on('data', (text) => { child.said += text; });
	child.ended = new Promise((done) => child.on('exit', done));
	child.what = log || program;
	running.add(child);
	return child;
}

export async function stop(child, signal = 'SIGTERM') {
	running.delete(child);
	child.kill('SIGCONT');
	child.kill(signal);
	await child.ended;
}

export function dsm(...args) {
	return execFileSync(join(build, 'cli/dsm'), ['--uri', uri, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

export function set(...pairs) {
	return dsm('set', ...pairs.map(String));
}

export function run(program, ...args) {
	return start(program, args);
}

export async function startEngine(table) {
	const engine = run('engine/dsmd', '--name', name, '--table', table);
	const there = () => {
		try {
			dsm('--timeout', '1', 'info');
			return true;
		} catch {
			return false;
		}
	};
	if (!await within(there, 20000))
		throw new Error(`dsmd does not start: ${engine.said}`);
	return engine;
}

// A viewer; its address in .url and its port in .port, which the next one can be given.
export async function startViewer(port = 0, ...args) {
	return viewerOf('peeker/peeker', '--web', `127.0.0.1:${port}`, ...args, uri);
}

// One with a cell in every state, and a sampler that has looked once.
export async function startHung() {
	return viewerOf('tests/peeker/peeker-golden', '--web', '127.0.0.1:0', 'test://hung');
}

async function viewerOf(program, ...args) {
	const viewer = run(program, ...args);
	if (!await within(() => /http:\S+/.test(viewer.said), 20000))
		throw new Error(`the viewer does not start: ${viewer.said}`);
	viewer.url = viewer.said.match(/http:\S+/)[0];
	viewer.port = Number(new URL(viewer.url).port);
	return viewer;
}

export function writeTable(file, extra = '') {
	const path = join(work, file);
	writeFileSync(path, `region: ${name}
owners:
  - name: operator
groups:
  - name: drilling
    owner: engine
    description: What the bit does
    cells:
      - {name: rop, type: f64, unit: m/h, min: 0, max: 200, precision: 1, description: Rate of penetration}
      - {name: wob, type: f64, unit: kN, min: 0, max: 400, precision: 1}
      - {name: torque, type: f64, unit: kNm, precision: 2}
      - {name: state, type: string(60)}
      - {name: running, type: bool}
      - {name: ticket, type: u64}
      - {name: frame, type: bytes(8)}
      - {name: wave, type: "f64[4]"}
  - name: panel
    owner: operator
    cells:
      - {name: brake, type: f64, unit: kN}
  - name: aside
    owner: engine
    cells:
      - {name: x, type: f64}
      - {name: y, type: f64}
      - {name: z, type: f64}
      - {name: away, type: f64}
      - {name: token, type: f64}
${extra}`);
	return path;
}

export async function endAll() {
	for (const child of [...running])
		await stop(child, 'SIGKILL');
	rmSync(work, { recursive: true, force: true });
}

// ---- the browser ----

export async function openBrowser() {
	return chromium.launch({
		executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
		args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
		ignoreDefaultArgs: ['--disable-back-forward-cache'], // pages are kept, as people's browsers do
	});
}

// A page that notes what must not be: errors, and requests to anybody else.
export async function openPage(browser, url, options = {}) {
	const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, acceptDownloads: true, ...options });
	const page = await context.newPage();
	page.faults = [];
	page.foreign = [];
	page.on('console', (m) => m.type() === 'error' && page.faults.push(`${m.text()} ${m.location().url}`));
	page.on('pageerror', (e) => page.faults.push(e.message));
	page.on('request', (r) => {
		const at = new URL(r.url());
		if (at.protocol.startsWith('http') && at.host !== new URL(url).host)
			page.foreign.push(r.url());
	});
	await page.goto(url);
	await page.waitForSelector('.card, #token:not([hidden])', { timeout: patience });
	return page;
}

// Every page is closed by this: no error in its console, and no request to anybody else.
export async function closePage(page, what, allowed = /$^/) {
	const faults = page.faults.filter((text) => !allowed.test(text));
	check(`${what}: no error in the console, nobody else was asked`, faults.length + page.foreign.length === 0, [faults, page.foreign]);
	await page.context().close();
}

export const figure = async (page, cell) =>
	(await page.locator(`#cells [data-cell="${cell}"] .figure`).textContent()).trim();
export const state = async (page, cell) =>
	(await page.locator(`#cells [data-cell="${cell}"] .state`).textContent()).trim();
export const word = async (page) => (await page.locator('#word').textContent()).trim();
export const shows = (page, cell, text) => within(async () => await figure(page, cell) === text);
