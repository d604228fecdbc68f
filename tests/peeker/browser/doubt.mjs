// SPDX-License-Identifier: Apache-2.0
// Values that cannot be believed, and a viewer that does not look any more. From the program of the
// golden frames, whose cells are in every state there is and whose sampler stands still.
import { check, closePage, openPage, patience, startHung, stop, within, word } from './setup.mjs';

const EXPECTED = [
	['drilling.rop', '12.3', '● good', ''],
	['drilling.torque', '(0.00)', '✕ bad', 'doubt'],
	['mud.density', '1250', 'F forced', ''],
	['mud.flow_in', '2400', 'S simulated', ''],
	['mud.temperature_at_the_flowline', '–', '– never written', ''],
	['setpoint.wob', '(90.0)', '⚠ stale owner', 'doubt'],
	['adc.channel0', '(1.234)', '⚠ stale age', 'doubt'],
];

async function cards(page) {
	for (const [cell, figure, state, doubt] of EXPECTED) {
		const card = page.locator(`#cells [data-cell="${cell}"]`);
		await card.scrollIntoViewIfNeeded();
		const read = async () => [(await card.locator('.figure').textContent()).trim(), (await card.locator('.state').textContent()).trim(),
			/\bdoubt\b/.test(await card.getAttribute('class')) ? 'doubt' : ''];
		check(`${state}: figure, mark, word, brackets`, await within(async () => String(await read()) === String([figure, state, doubt])), await read());
	}
	const age = (cell) => page.locator(`#cells [data-cell="${cell}"] .age`).textContent();
	check('an age in hours', await age('setpoint.wob') === '2 h', await age('setpoint.wob'));
	check('one of what was never written: none', await age('mud.temperature_at_the_flowline') === '');
	const owner = (group) => page.locator(`[data-group="${group}"] .owner`).textContent();
	check('an owner that is dead', await owner('setpoint') === '✕ operator dead', await owner('setpoint'));
	check('one that is silent', await owner('adc') === '✕ adc1 silent', await owner('adc'));
	check('one that lives', await owner('mud') === '● sensors alive', await owner('mud'));
}

export async function doubt(browser) {
	const viewer = await startHung(), page = await openPage(browser, viewer.url);
	await cards(page);
	check('a viewer that cannot look says so, by its own stream', await within(async () => /^OUT OF DATE/.test(await word(page)), patience), await word(page));
	check('and in words', /cannot look at the engine/.test(await page.locator('#summary').textContent()));
	check('red', await page.locator('#banner').getAttribute('class') === 'bad');
	await closePage(page, 'doubt');
	await stop(viewer);
}
