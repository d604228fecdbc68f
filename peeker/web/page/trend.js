// SPDX-License-Identifier: Apache-2.0
// The trend: several pens over one time axis. The chart itself is uPlot, fetched from this viewer
// when the first pen is added; a viewer that was built without it says so.
import { element } from './cells.js';

const KEPT_S = 900;
const KEPT_PAUSED_S = 3600;  // what is looked at does not go away meanwhile
const STEP_MS = 250;
const GAP_S = 1.5;           // so long without a sample, and there is a gap
const WHOLE_S = 120;
const SPAN_MIN_S = 5;
const COLOURS = ['#0b7fc0', '#c2570c', '#1b8a4b', '#a13bb5', '#b58900', '#c4304b', '#3f6fd1', '#6b7d12'];
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]];
const PENS_MAX = 8;

const $ = (id) => document.getElementById(id);
let library;

function fetchLibrary() {
	library ??= new Promise((good, bad) => {
		const style = element('link'), script = element('script');
		style.rel = 'stylesheet';
		style.href = '/uplot.css';
		script.src = '/uplot.js';
		script.onload = good;
		script.onerror = () => bad(new Error('this viewer was built without the chart library'));
		document.head.append(style, script);
	});
	return library;
}

export class Trend {
	constructor(say, changed) {
		this.say = say;
		this.changed = changed;  // pens have come or gone
		this.pens = [];          // { cell, values }
		this.times = [];
		this.span = WHOLE_S;     // seconds that are shown while it follows
		this.held = null;        // [from, to] in seconds while paused; recording goes on
		this.zoom = null;        // [from, to] that somebody has chosen; null: it follows
		this.gap = false;        // the newest sample is a gap
		$('trend-pause').onclick = () => this.pause(!this.held);
		$('trend-in').onclick = () => this.scale(0.5);
		$('trend-out').onclick = () => this.scale(2);
		$('trend-all').onclick = () => this.whole();
		$('trend-csv').onclick = () => this.save();
		setInterval(() => this.sample(), STEP_MS);
		addEventListener('resize', () => this.resize());
	}

	has(cell) {
		return this.pens.some((p) => p.cell.name === cell.name);
	}

	async toggle(cell) {
		if (this.has(cell)) {
			this.pens = this.pens.filter((p) => p.cell.name !== cell.name);
			this.say(`${cell.name} is no longer in the trend`);
		} else if (this.pens.length === PENS_MAX) {
			this.say(`The trend has ${PENS_MAX} pens, which is all it can have`);
			return;
		} else {
			const pen = { cell, values: this.times.map(() => null) };
			this.pens.push(pen);
			this.say(`${cell.name} is in the trend`);
			await this.recall(pen);
		}
		if (!this.pens.length) {
			this.times = [];
			this.zoom = null;
		}
		this.changed();
		await this.build();
	}

	// What the viewer remembers of the time before the pen was added.
	async recall(pen) {
		try {
			const answer = await fetch(`/api/v1/cells/${encodeURIComponent(pen.cell.name)}`);
			const { history, bucket_s: step } = await answer.json();
			const now = Date.now() / 1000, first = now - history.length * step;
			const before = history.map((_, i) => first + i * step).filter((t) => !(t >= this.times[0]));
			this.times.unshift(...before);
			for (const p of this.pens)
				p.values.unshift(...before.map(() => null));
			this.times.forEach((t, i) => {
				const bucket = history[Math.floor((t - first) / step + 0.5)];
				if (bucket && pen.values[i] === null)
					pen.values[i] = bucket[1];
			});
		} catch {
			// it begins now
		}
	}

	// A new table has new cells; pens go on with those of the same name.
	rebind(byName) {
		this.pens = this.pens.filter((p) => byName.has(p.cell.name));
		for (const p of this.pens)
			p.cell = byName.get(p.cell.name);
		this.build();
	}

	// A page that nobody sees is not told values, and one whose timers stood still has none: there
	// a gap is put in, or the chart would draw a line through a time that nobody knows of.
	sample() {
		if (!this.pens.length)
			return;
		const now = Date.now() / 1000, last = this.times[this.times.length - 1] ?? now;
		if (now < last)
			this.forget(Infinity); // the clock was set back
		else if (document.hidden && !this.gap)
			this.push(now, () => null);
		else if (!document.hidden && !this.gap && now - last > GAP_S)
			this.push(last + STEP_MS / 1000, () => null);
		this.gap = document.hidden;
		if (this.gap)
			return;
		this.push(now, (p) => (this.isOld?.() ? null : p.cell.number()));
		this.forget(now - (this.held ? KEPT_PAUSED_S : KEPT_S));
		this.draw();
	}

	push(time, value) {
		this.times.push(time);
		for (const p of this.pens)
			p.values.push(value(p));
	}

	// What is older than that time goes.
	forget(time) {
		let gone = 0;
		while (this.times[gone] < time)
			gone++;
		if (!gone)
			return;
		this.times.splice(0, gone);
		this.pens.forEach((p) => p.values.splice(0, gone));
	}

	data() {
		return [this.times, ...this.pens.map((p) => p.values)];
	}

	newest() {
		const last = this.times[this.times.length - 1] || Date.now() / 1000;
		return [last - this.span, last];
	}

	range() {
		return this.zoom || this.held || this.newest();
	}

	draw() {
		if (!this.plot)
			return;
		const [min, max] = this.range();
		this.plot.batch(() => {
			this.plot.setData(this.data(), false);
			this.plot.setScale('x', { min, max });
		});
		$('chart').dataset.from = this.plot.scales.x.min;
		$('chart').dataset.to = this.plot.scales.x.max;
	}

	listPens() {
		$('pens').replaceChildren(...this.pens.map((p, i) => {
			const li = element('li'), b = element('button', '', `✕ ${p.cell.name}`);
			b.type = 'button';
			b.style.borderColor = COLOURS[i % COLOURS.length];
			b.setAttribute('aria-label', `Remove ${p.cell.name} from the trend`);
			b.onclick = () => this.toggle(p.cell);
			li.append(b);
			return li;
		}));
	}

	async build() {
		this.listPens();
		this.plot?.destroy();
		this.plot = null;
		$('trend-note').hidden = this.pens.length > 0;
		if (!this.pens.length)
			return;
		try {
			await fetchLibrary();
		} catch (e) {
			$('trend-note').textContent = `No chart: ${e.message}. The CSV has the values.`;
			$('trend-note').hidden = false;
			return;
		}
		this.plot?.destroy();
		this.plot = new uPlot(this.options(), this.data(), $('chart'));
		this.draw();
	}

	options() {
		const ink = getComputedStyle(document.body).color, grid = { stroke: '#8888', width: 0.5 };
		const units = [...new Set(this.pens.map((p) => p.cell.unit || ''))];
		const axes = units.slice(0, 2).map((unit, i) => ({
			scale: `u${unit}`, side: i ? 1 : 3, stroke: ink, grid: i ? { show: false } : grid,
			label: unit || 'no unit', size: 64, labelSize: 20,
		}));
		return {
			width: this.width(), height: this.height(),
			axes: [{ stroke: ink, grid }, ...axes],
			scales: { x: { time: true } },
			cursor: { drag: { x: true, y: false, setScale: false }, bind: { dblclick: () => () => this.whole() } },
			hooks: { setSelect: [(u) => this.dragged(u)] },
			series: [{ value: '{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}' }, ...this.pens.map((p, i) => ({
				label: p.cell.unit ? `${p.cell.name} (${p.cell.unit})` : p.cell.name,
				scale: `u${p.cell.unit || ''}`, stroke: COLOURS[i % COLOURS.length], width: 2,
				dash: DASHES[Math.floor(i / 2) % DASHES.length],
				value: (u, v) => (v === null ? '–' : p.cell.digits === undefined ? String(v) : v.toFixed(p.cell.digits)),
			}))],
		};
	}

	width() {
		return Math.max(200, $('chart').clientWidth);
	}

	height() {
		return Math.round(Math.min(420, Math.max(220, innerHeight * 0.4)));
	}

	resize() {
		this.plot?.setSize({ width: this.width(), height: this.height() });
	}

	// Somebody has dragged in the chart. The scale is ours alone, so that its own moves are never
	// taken for somebody's.
	dragged(u) {
		const { left, width } = u.select;
		if (width < 2)
			return;
		this.zoom = [u.posToVal(left, 'x'), u.posToVal(left + width, 'x')];
		u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
		this.draw();
	}

	// While it follows, more or less of the newest; else about the middle of what is shown.
	scale(by) {
		const [min, max] = this.range(), middle = (min + max) / 2, half = (max - min) / 2 * by;
		if (this.zoom || this.held)
			this.zoom = [middle - half, middle + half];
		else
			this.span = Math.min(KEPT_S, Math.max(SPAN_MIN_S, this.span * by));
		this.draw();
	}

	whole() {
		this.zoom = null;
		this.span = WHOLE_S;
		this.draw();
	}

	pause(paused) {
		this.held = paused ? this.held || this.newest() : null;
		$('trend-pause').setAttribute('aria-pressed', String(paused));
		$('trend-pause').textContent = paused ? 'Go on' : 'Pause';
		this.draw();
	}

	csv() {
		const quote = (s) => (/[",\n]/.test(s) ? `"${s.replaceAll('"', '""')}"` : s);
		const rows = [['time', ...this.pens.map((p) => p.cell.name)], ['', ...this.pens.map((p) => p.cell.unit || '')]];
		this.times.forEach((t, i) => rows.push([new Date(t * 1000).toISOString(), ...this.pens.map((p) => p.values[i] ?? '')]));
		return rows.map((r) => r.map((v) => quote(String(v))).join(',')).join('\n') + '\n';
	}

	save() {
		const link = element('a'), address = URL.createObjectURL(new Blob([this.csv()], { type: 'text/csv' }));
		link.href = address;
		link.download = `trend-${new Date().toISOString().replaceAll(':', '').slice(0, 17)}.csv`;
		link.click();
		setTimeout(() => URL.revokeObjectURL(address), 10000);
		this.say('The trend is saved as CSV');
	}
}
