// SPDX-License-Identifier: Apache-2.0
// The connection to the viewer, and to notice when there is none: phones cut sockets in the
// background without a word. Whatever happened, a connection that begins again brings everything.

const OLD_MS = 2500;     // the viewer speaks each second
const AGAIN_MS = 4500;   // so long a silence, and the connection is made anew
const HIDDEN_MS = 15000; // nobody looks: give the connection back

export class Feed {
	constructor(url, told) {
		this.url = url;
		this.told = told;    // { table, news, token }
		this.last = Date.now();
		this.begun = 0;
		this.everHeard = false;
		document.addEventListener('visibilitychange', () => this.seen());
		document.addEventListener('resume', () => this.again());
		addEventListener('pageshow', (e) => e.persisted && this.again());
		addEventListener('pagehide', () => this.close());
		addEventListener('online', () => this.again());
		this.open();
	}

	open() {
		this.close();
		this.begun = Date.now();
		const source = this.source = new EventSource(this.url);
		const take = (kind) => source.addEventListener(kind, (e) => {
			if (source !== this.source)
				return;
			this.last = Date.now();
			this.everHeard = true;
			this.told[kind](JSON.parse(e.data));
		});
		take('table');
		take('news');
		source.onerror = () => source === this.source && this.failed();
	}

	close() {
		if (this.source)
			this.source.close();
		this.source = null;
	}

	// A refusal ends an EventSource for good; a token is the only one that we can do something about.
	async failed() {
		if (this.source.readyState !== EventSource.CLOSED)
			return;
		this.close();
		try {
			const answer = await fetch('/api/v1/health', { cache: 'no-store' });
			if (answer.status === 401)
				this.told.token();
		} catch {
			// not there; watch() tries again
		}
	}

	again() {
		if (!document.hidden)
			this.open();
	}

	seen() {
		clearTimeout(this.hidden);
		if (document.hidden)
			this.hidden = setTimeout(() => this.close(), HIDDEN_MS);
		else if (!this.source || this.oldMs() > OLD_MS)
			this.open();
	}

	oldMs() {
		return Date.now() - this.last;
	}

	isOld() {
		return this.oldMs() > OLD_MS;
	}

	// Once a second.
	watch() {
		const tried = Date.now() - this.begun;
		if (!document.hidden && this.oldMs() > AGAIN_MS && tried > AGAIN_MS)
			this.open();
	}
}
