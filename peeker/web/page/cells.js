// SPDX-License-Identifier: Apache-2.0
// Cells as cards: made once, painted when they have changed and can be seen.

const SPARK = 60;        // seconds
const MARKS = { good: '●', stale: '⚠', bad: '✕', 'never written': '–', forced: 'F', simulated: 'S' };
const KINDS = { good: 'good', forced: 'warn', simulated: 'warn', 'never written': '', bad: 'bad', stale: 'bad' };
const SVG = 'http://www.w3.org/2000/svg';

export function element(name, classes, text) {
	const e = document.createElement(name);
	if (classes)
		e.className = classes;
	if (text !== undefined)
		e.textContent = text;
	return e;
}

function drawn(name, parent, attributes) {
	const e = document.createElementNS(SVG, name);
	for (const [key, value] of Object.entries(attributes))
		e.setAttribute(key, value);
	parent.append(e);
	return e;
}

export function age(seconds) {
	if (seconds < 10)
		return `${seconds.toFixed(1)} s`;
	if (seconds < 120)
		return `${seconds.toFixed(0)} s`;
	if (seconds < 7200)
		return `${(seconds / 60).toFixed(0)} min`;
	return seconds < 172800 ? `${(seconds / 3600).toFixed(0)} h` : `${(seconds / 86400).toFixed(0)} d`;
}

export class Cell {
	constructor(meta, words) {
		Object.assign(this, meta);
		this.words = words;
		this.value = null;
		this.word = 'not read';
		this.why = '';
		this.age = null;
		this.at = Date.now();
		this.past = (meta.past || []).slice(-SPARK);
		this.cards = [];
		this.still = null;   // a copy from when the page was frozen
		this.isNumber = ['f64', 'i64', 'u64', 'bool'].includes(meta.type);
	}

	take([, value, state, ago, why]) {
		this.value = value;
		this.word = this.words[state];
		this.why = why || this.word;
		this.age = ago;
		this.at = Date.now();
	}

	isValid() {
		return ['good', 'forced', 'simulated'].includes(this.word);
	}

	isDoubtful() {
		return !this.isValid() && this.word !== 'never written';
	}

	number() {
		const n = this.isNumber && this.isValid() && this.value !== null ? Number(this.value) : NaN;
		return Number.isFinite(n) ? n : null;
	}

	text() {
		if (this.word === 'never written' || this.word === 'not read' || this.value === null)
			return '–';
		if (typeof this.value === 'number')
			return this.digits === undefined ? String(this.value) : this.value.toFixed(this.digits);
		if (Array.isArray(this.value))
			return `${this.type.slice(3)} ${this.value.slice(0, 8).map(String).join(' ')}${this.value.length > 8 ? ' …' : ''}`;
		return this.value === '' ? '""' : String(this.value);
	}

	ageText() {
		if (this.age === null)
			return this.word === 'never written' ? '' : '?';
		const now = this.stillAt ?? Date.now();
		return (this.age < 0 ? '>' : '') + age(Math.abs(this.age) + Math.max(0, now - this.at) / 1000);
	}

	freeze() {
		this.still = Object.assign(Object.create(Cell.prototype), this, { past: [...this.past], stillAt: Date.now() });
		return this.still;
	}

	// Once a second.
	remember() {
		this.past.push(this.number());
		if (this.past.length > SPARK)
			this.past.shift();
	}
}

function button(kind, mark, label) {
	const b = element('button', kind, mark);
	b.type = 'button';
	b.setAttribute('aria-label', label);
	b.title = label;
	return b;
}

export class Card {
	constructor(cell, name, act) {
		const li = this.li = element('li', 'card');
		this.cell = cell;
		li.dataset.cell = cell.name;
		li.card = this;
		const h = element('h3', '', name);
		h.title = cell.about ? `${cell.name}: ${cell.about}` : cell.name;
		li.append(h);
		this.pen = button('pen', '∿', `Trend of ${cell.name}`);
		this.pin = button('pin', '☆', `Pin ${cell.name}`);
		this.pen.onclick = () => act.pen(cell);
		this.pin.onclick = () => act.pin(cell);
		this.pen.hidden = !cell.isNumber;
		li.append(this.pen, this.pin);
		this.value = element('div', 'value');
		this.figure = element('span', 'figure');
		this.value.append(this.figure);
		if (cell.unit)
			this.value.append(element('small', '', cell.unit));
		li.append(this.value);
		this.addRange();
		if (cell.isNumber) {
			this.spark = drawn('svg', li, { class: 'spark', viewBox: '0 0 59 20', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
			this.line = drawn('path', this.spark, { d: '' });
		}
		const foot = element('div', 'foot');
		this.state = element('span', 'state');
		this.ago = element('span', 'age');
		foot.append(this.state, this.ago);
		li.append(foot);
		cell.cards.push(this);
	}

	addRange() {
		const c = this.cell;
		if (!c.isNumber || c.type === 'bool' || c.min === undefined || c.max === undefined || c.max <= c.min)
			return;
		this.range = drawn('svg', this.li, { class: 'range', viewBox: '0 0 1000 8', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
		drawn('rect', this.range, { width: 1000, height: 8, rx: 4 });
		this.at = drawn('rect', this.range, { width: 0, height: 8, rx: 4, class: 'at' });
		const ends = element('div', 'ends');
		ends.append(element('span', '', String(c.min)), element('span', '', String(c.max)));
		this.li.append(ends);
	}

	setPressed(which, pressed) {
		this[which].setAttribute('aria-pressed', String(pressed));
		if (which === 'pin')
			this.pin.textContent = pressed ? '★' : '☆';
	}

	// What is shown: the cell as it is, or as it was when the page was frozen.
	shown() {
		return this.cell.still ?? this.cell;
	}

	paint() {
		const c = this.shown(), text = c.text(), shown = c.isDoubtful() && text !== '–' ? `(${text})` : text;
		if (this.figure.textContent !== shown) {
			this.figure.textContent = shown;
			this.value.classList.toggle('long', shown.length > 14);
		}
		this.li.classList.toggle('doubt', c.isDoubtful());
		const state = `${MARKS[c.word] || '?'} ${c.why || c.word}`;
		if (this.state.textContent !== state) {
			this.state.textContent = state;
			this.state.className = `state ${KINDS[c.word] ?? 'warn'}`;
		}
		this.paintAge();
		if (this.range) {
			const n = typeof c.value === 'string' ? Number(c.value) : c.value;
			const part = n === null ? 0 : (n - c.min) / (c.max - c.min);
			this.at.setAttribute('width', Math.round(1000 * Math.min(1, Math.max(0, part))) || 0);
			this.at.setAttribute('class', part < 0 || part > 1 ? 'at out' : 'at');
		}
	}

	paintAge() {
		const text = this.shown().ageText();
		if (this.ago.textContent !== text)
			this.ago.textContent = text;
	}

	paintSpark() {
		if (!this.line)
			return;
		const past = this.shown().past, seen = past.filter((v) => v !== null);
		const low = Math.min(...seen), high = Math.max(...seen), span = high - low || 1;
		let d = '', pen = false;
		past.forEach((v, i) => {
			if (v !== null)
				d += `${pen ? 'L' : 'M'}${i + SPARK - past.length} ${high === low ? 10 : (19 - 18 * (v - low) / span).toFixed(1)}`;
			pen = v !== null;
		});
		this.line.setAttribute('d', d);
	}
}
