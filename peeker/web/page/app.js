// SPDX-License-Identifier: Apache-2.0
// The page: what comes from the stream goes into the cells, and what can be seen of them is
// painted. The bar at the top is never frozen.
import { Card, Cell, age, element } from './cells.js';
import { Feed } from './stream.js';
import { Trend } from './trend.js';

const $ = (id) => document.getElementById(id);
const STATUS_MS = 5000;  // a screen reader is told no more often

const page = {
	cells: new Map(),    // by number
	byName: new Map(),
	groups: [],
	cards: [],
	visible: new Set(),
	dirty: new Set(),
	frozen: false,       // then each cell has a copy of itself, which is what is painted
	stillOwners: new Map(),
	news: null,
	newsAt: 0,
};

// ---- what is remembered in this browser ----

function recall(key, otherwise) {
	try {
		return JSON.parse(localStorage.getItem(`peeker.${key}`)) ?? otherwise;
	} catch {
		return otherwise;
	}
}

function keep(key, value) {
	try {
		localStorage.setItem(`peeker.${key}`, JSON.stringify(value));
	} catch {
		// private windows forget; so be it
	}
}

const pins = new Set(recall('pins', []));
const folded = new Set(recall('folded', []));

// ---- telling, throttled ----

let told = '', tellAt = 0, tellTimer = 0;

function tell(text) {
	told = text;
	clearTimeout(tellTimer);
	tellTimer = setTimeout(() => {
		tellAt = Date.now();
		$('status').textContent = told;
	}, Math.max(0, tellAt + STATUS_MS - Date.now()));
}

// ---- the bar ----

function verdict(e, counts) {
	const doubtful = counts.slice(0, 4).reduce((a, b) => a + b, 0);
	if (e.state !== 'RUNNING')
		return ['bad', '✕', e.state];
	return doubtful ? ['warn', '⚠', 'RUNNING'] : ['good', '✓', 'RUNNING'];
}

function summary(counts) {
	const all = counts.reduce((a, b) => a + b, 0);
	const parts = counts.map((n, i) => (n ? `${n} ${page.words[i]}` : '')).filter(Boolean).reverse();
	return `${all} cells: ${parts.join(', ')}`;
}

function latency(ns) {
	return ns < 1000 ? `${ns} ns` : ns < 1e6 ? `${(ns / 1e3).toFixed(1)} µs` : `${(ns / 1e6).toFixed(1)} ms`;
}

function oldSeconds() {
	const own = feed.oldMs(), theirs = page.news ? page.news.engine.look_ms + own : own;
	return feed.isOld() || theirs > 3500 ? Math.max(own, theirs) / 1000 : 0;
}

function paintBanner() {
	const n = page.news, old = oldSeconds();
	if (!n)
		return;
	let [kind, mark, word] = verdict(n.engine, n.counts), text = summary(n.counts);
	if (old) {
		[kind, mark, word] = ['bad', '✕', `OUT OF DATE for ${age(old)}`];
		text = `${feed.isOld() ? 'The connection to the viewer is lost; trying again.' : 'The viewer cannot look at the engine.'} What is shown are the last known values.`;
	} else if (n.engine.problem) {
		text = `${text}. ${n.engine.problem}`;
	} else if (n.engine.state !== 'RUNNING') {
		text = `for ${age(n.engine.for_s + (Date.now() - page.newsAt) / 1000)}. ${text}`;
	}
	$('banner').className = kind;
	$('mark').textContent = mark;
	$('word').textContent = word;
	$('engine-name').textContent = n.engine.name;
	$('summary').textContent = text;
	$('since').textContent = new Date(n.wall_ms).toLocaleTimeString();
	$('source').textContent = n.engine.uri && `${n.engine.uri} by ${n.engine.transport}: ${n.engine.reason} · read p50 ${latency(n.engine.p50_ns)}, p99 ${latency(n.engine.p99_ns)} · retries ${n.engine.retries} · rejected ${n.engine.rejected}`;
	document.body.classList.toggle('old', old > 0);
	document.title = `${old ? 'out of date' : n.engine.state.toLowerCase()} · ${n.engine.name || 'peeker'}`;
	const status = old ? 'Out of date: the values are the last known' : `${n.engine.state}. ${summary(n.counts)}`;
	if (status !== paintBanner.status)
		tell(paintBanner.status = status);
}

// ---- cards ----

const act = {
	pin(cell) {
		pins.has(cell.name) ? pins.delete(cell.name) : pins.add(cell.name);
		keep('pins', [...pins]);
		buildPinned();
		tell(`${cell.name} is ${pins.has(cell.name) ? '' : 'no longer '}pinned`);
	},
	pen(cell) {
		showTrend(true);
		trend.toggle(cell);
	},
};

const observer = new IntersectionObserver((entries) => {
	for (const e of entries) {
		if (!e.isIntersecting) {
			page.visible.delete(e.target.card);
			continue;
		}
		page.visible.add(e.target.card);
		paintCard(e.target.card);
	}
}, { rootMargin: '200px' });

function paintCard(card) {
	card.paint();
	card.paintSpark();
}

function addCard(list, cell, name) {
	const card = new Card(cell, name, act);
	list.append(card.li);
	page.cards.push(card);
	observer.observe(card.li);
	return card;
}

function forget(cards) {
	for (const card of cards) {
		observer.unobserve(card.li);
		page.visible.delete(card);
		card.cell.cards = card.cell.cards.filter((c) => c !== card);
	}
	page.cards = page.cards.filter((c) => !cards.includes(c));
}

function buildPinned() {
	const list = $('pinned').querySelector('ul');
	forget(page.cards.filter((c) => c.pinned));
	list.replaceChildren();
	for (const name of pins) {
		const cell = page.byName.get(name);
		if (!cell)
			continue;
		const card = addCard(list, cell, name);
		card.pinned = true;
		paintCard(card);
	}
	$('pinned').hidden = !list.children.length;
	markPressed();
}

function markPressed() {
	for (const card of page.cards) {
		card.setPressed('pin', pins.has(card.cell.name));
		card.setPressed('pen', trend.has(card.cell));
	}
}

function buildGroup(group, number) {
	const details = element('details'), top = element('summary');
	const list = element('ul', 'cards');
	details.open = !folded.has(group.name);
	details.dataset.group = group.name;
	group.ownerMark = element('span', 'owner');
	top.append(element('h2', '', group.name), group.ownerMark);
	if (group.about)
		top.append(element('span', '', group.about));
	details.append(top, list);
	details.ontoggle = () => {
		details.open ? folded.delete(group.name) : folded.add(group.name);
		keep('folded', [...folded]);
	};
	for (const cell of page.cells.values())
		if (cell.g === number)
			addCard(list, cell, cell.leaf);
	group.details = details;
	return details;
}

function takeTable(table) {
	page.words = table.words;
	page.owners = table.owners;
	page.groups = table.groups;
	forget([...page.cards]);
	const before = page.byName;
	page.cells = new Map(table.cells.map((meta) => [meta.i, new Cell(meta, table.words)]));
	page.byName = new Map([...page.cells.values()].map((c) => [c.name, c]));
	if (page.frozen) // also a connection that began again must not change what is shown
		for (const cell of page.cells.values())
			cell.still = before.get(cell.name)?.still ?? cell.freeze();
	$('cells').replaceChildren(...page.groups.map(buildGroup)
		.filter((d) => d.querySelector('.card')));
	trend.rebind(page.byName);
	buildPinned();
	search();
	paintOwners();
}

function takeNews(news) {
	page.news = news;
	page.newsAt = Date.now();
	for (const change of news.cells) {
		const cell = page.cells.get(change[0]);
		if (!cell)
			continue;
		cell.take(change);
		page.dirty.add(cell);
	}
	$('token').hidden = true;
	if (!page.due) {
		page.due = true;
		requestAnimationFrame(paint);
	}
}

function paintOwners() {
	for (const group of page.groups) {
		const state = page.frozen ? page.stillOwners.get(page.owners[group.owner]) : page.news?.owners[group.owner];
		if (!state)
			continue;
		const good = state === 'alive', text = `${good ? '●' : state === 'vacant' ? '○' : '✕'} ${page.owners[group.owner]} ${state}`;
		if (!group.ownerMark || group.ownerMark.textContent === text)
			continue;
		group.ownerMark.textContent = text;
		group.ownerMark.className = `owner ${good ? 'alive' : state === 'vacant' ? '' : 'gone'}`;
	}
}

function paint() {
	page.due = false;
	paintBanner();
	if (page.frozen)
		return;
	paintOwners();
	for (const cell of page.dirty) {
		for (const card of cell.cards) {
			if (!page.visible.has(card))
				continue;
			card.paint();
			card.li.classList.remove('changed');
			requestAnimationFrame(() => card.li.classList.add('changed'));
		}
	}
	page.dirty.clear();
}

function everySecond() {
	feed.watch();
	for (const cell of page.cells.values())
		cell.remember();
	paintBanner();
	if (page.frozen)
		return;
	for (const card of page.visible) {
		card.paintAge();
		card.paintSpark();
	}
}

// ---- tools ----

function freeze(frozen) {
	page.frozen = frozen;
	$('freeze').setAttribute('aria-pressed', String(frozen));
	$('freeze').textContent = frozen ? `Frozen at ${new Date().toLocaleTimeString()}` : 'Freeze';
	trend.pause(frozen);
	tell(frozen ? 'Frozen: what is shown stands still' : 'Live again');
	page.stillOwners = new Map((page.owners || []).map((name, i) => [name, page.news?.owners[i]]));
	for (const cell of page.cells.values())
		frozen ? cell.freeze() : cell.still = null;
	if (frozen)
		return;
	page.visible.forEach(paintCard);
	if (page.news)
		paintOwners();
}

function matcher(text) {
	const wanted = text.trim().toLowerCase();
	if (!/[*?]/.test(wanted))
		return (cell) => cell.name.toLowerCase().includes(wanted);
	const pattern = new RegExp(`^${wanted.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.')}$`);
	return (cell) => pattern.test(cell.name.toLowerCase());
}

function search() {
	const text = $('search').value, fits = matcher(text);
	let hits = 0;
	for (const card of page.cards) {
		if (card.pinned)
			continue;
		card.li.hidden = !fits(card.cell);
		hits += !card.li.hidden;
	}
	for (const details of $('cells').children)
		details.hidden = !details.querySelector('.card:not([hidden])');
	$('hits').hidden = !text;
	$('hits').textContent = `${hits} of ${page.cells.size} cells`;
	if (text)
		tell($('hits').textContent);
}

function showTrend(show) {
	$('trend').hidden = !show;
	$('show-trend').setAttribute('aria-expanded', String(show));
	if (show)
		trend.resize();
}

function foldAll() {
	const groups = [...$('cells').children], open = groups.some((d) => d.open);
	for (const d of groups)
		d.open = !open;
	$('fold').textContent = open ? 'Unfold' : 'Fold';
}

function setTheme(theme) {
	if (theme)
		document.documentElement.dataset.theme = theme;
	keep('theme', theme);
	trend.build();
}

function nextTheme() {
	const dark = document.documentElement.dataset.theme
		? document.documentElement.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
	setTheme(dark ? 'light' : 'dark');
}

const keys = {
	'/': () => $('search').focus(),
	f: () => freeze(!page.frozen),
	t: () => showTrend($('trend').hidden),
	z: foldAll,
	'?': () => $('help-text').showModal(),
};

function onKey(e) {
	const typing = e.target.matches('input');
	if (e.key === 'Escape' && typing) {
		$('search').value = '';
		$('search').blur();
		search();
		return;
	}
	if (typing || e.ctrlKey || e.metaKey || e.altKey || !$('keys').checked || $('help-text').open || !keys[e.key])
		return;
	e.preventDefault();
	keys[e.key]();
}

const trend = new Trend(tell, markPressed);
const feed = new Feed('/api/v1/stream?rate=10', {
	table: takeTable,
	news: takeNews,
	token: () => {
		$('token').hidden = false;
		$('summary').textContent = 'An access token is asked for.';
	},
});
trend.isOld = () => feed.isOld();
page.feed = feed;
setTheme(recall('theme', ''));
$('keys').checked = recall('keys', true);
$('keys').onchange = () => keep('keys', $('keys').checked);
$('search').oninput = search;
$('freeze').onclick = () => freeze(!page.frozen);
$('show-trend').onclick = () => showTrend($('trend').hidden);
$('fold').onclick = foldAll;
$('theme').onclick = nextTheme;
$('help').onclick = () => $('help-text').showModal();
addEventListener('keydown', onKey);
setInterval(everySecond, 1000);
