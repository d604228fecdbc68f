/* takeover.pml: the owner of a remotely written group dies, or is only slow, at any
 * moment: any part of its last slot and pulse has landed. Engine: fence, scrub,
 * pulse := newest verified, grant of the next epoch; then the heir writes. A remote
 * reader reads throughout, every word in any order; the check word verifies just the
 * content that it was written for, and contents repeat, as values of cells do.
 * Shown: see the assertions of accept() and engine(). Local takeover: moved.pml
 * Controls: NO_CHECK NO_SCRUB GRANT_BEFORE_FENCE EPOCH_REUSED EPOCH_IGNORED
 * FIRST_FROM_PULSE (engine) FLOOR_FROM_PULSE (reader) PULSE_LEFT K=1
 * BEGUN_EARLIER (asks of a READ across the takeover what holds only for later ones)
 */
#ifndef K
#define K	2
#endif
#ifndef COMMITS
#define COMMITS	1	/* of the first owner, after a ring full */
#endif
#ifndef HEIRS
#define HEIRS	1	/* of the heir, at most */
#endif

#define WORDS	(1 + 3 * K)
#define WRITERS	2
#define DEPTH	4
#define REGS	4
#define LAZY
#include "weak.pml"

#define FIRST	0	/* the owners' NICs */
#define HEIR	1
#define ENGINE	1	/* its stores are done before the heir's begin */

#define PULSE	0
#define HEAD(v)	(1 + 3 * ((v) % K))	/* version (0: none) and first payload word */
#define TAIL(v)	(2 + 3 * ((v) % K))	/* last payload word */
#define CHECK(v) (3 + 3 * ((v) % K))	/* v: a seq or a version, alike mod K */

#define VERSION(epoch, seq)	((epoch) * 8 + (seq))
#define EPOCH_OF(version)	((version) / 8)
#define SEQ_OF(version)		((version) % 8)
#define MAKE_HEAD(version, word) ((version) * 4 + (word))
#define VERSION_OF(head)	((head) / 4)
#define HASH(head, tail)	((head) * 4 + (tail))	/* no two contents share it */

#ifdef EPOCH_IGNORED
#define ORDER(version)	SEQ_OF(version)
#else
#define ORDER(version)	(version)
#endif
#ifdef EPOCH_REUSED
#define NEXT_EPOCH 1
#else
#define NEXT_EPOCH 2
#endif
#ifdef NO_CHECK
#define VERIFIES(head, tail, check, at) (head && SEQ_OF(VERSION_OF(head)) % K == at)
#else
#define VERIFIES(head, tail, check, at) \
	(head && SEQ_OF(VERSION_OF(head)) % K == at && check == HASH(head, tail))
#endif

bool open[2] = true;	/* its QP may still land bytes */
bool granted, over;
byte first;		/* sequence that the heir begins with */
short said[24];		/* said[version]: content the owner gave it, as HASH */
byte completed;		/* newest version whose WRITEs were completed */
byte accepted;		/* newest of the first owner's that the reader took */

/* The two owners' first words differ always, their last ones may be alike. */
inline post(me, version, tail) {
	said[version] = HASH(MAKE_HEAD(version, 1 + me), tail);
	store(me, HEAD(version), MAKE_HEAD(version, 1 + me));
	store(me, TAIL(version), tail);
	store(me, CHECK(version), said[version]);
	store(me, PULSE, SEQ_OF(version))
}

/* One slot WRITE and its pulse outstanding; nothing is posted again after an error. */
proctype owner(byte me; byte epoch; byte seq; byte left) {
	byte tail;
	do
	:: atomic {
			left > 0 && open[me] ->
			if
			:: tail = 2
			:: me == HEIR -> tail = 1
			fi;
			post(me, VERSION(epoch, seq), tail);
			tail = 0
		};
		atomic {
			fence_seq_cst(me);	/* completion, or an error */
			if
			:: open[me] -> completed = VERSION(epoch, seq); seq++; left--
			:: else -> break
			fi
		}
	:: atomic { me == HEIR || left == 0 || !open[me] -> break }
	od;
	atomic {
		over = over || me == HEIR;
		seq = 0;
		left = 0
	}
}

/* Destroys the QP, deregisters: no late byte after it. */
inline fence() {
	atomic {
		open[FIRST] = false;
		do
		:: sb[FIRST].n > 0 -> take(FIRST, i)
		:: else -> break
		od
	}
}

inline scrub(at) {
	if
	:: VERIFIES(mem[HEAD(at)], mem[TAIL(at)], mem[CHECK(at)], at) ->
		i = SEQ_OF(VERSION_OF(mem[HEAD(at)]));
		newest = (i > newest -> i : newest);
		i = 0
	:: else ->
#ifndef NO_SCRUB
		store(ENGINE, HEAD(at), 0);
		store(ENGINE, CHECK(at), 0)
#endif
	fi
}

proctype engine() {
	byte newest, i;
#ifndef GRANT_BEFORE_FENCE
	fence();
#endif
	atomic {
		scrub(0);
#if K > 1
		scrub(1);
#endif
#ifdef FIRST_FROM_PULSE
		newest = mem[PULSE];
#endif
	};
#ifndef PULSE_LEFT
	store(ENGINE, PULSE, newest);
#endif
	fence_seq_cst(ENGINE);
	atomic {
		first = newest + 1;
		granted = true;
		/* what was completed, or seen, is not forgotten */
		assert(completed < VERSION(1, first) && accepted < VERSION(1, first));
		newest = 0;
		accepted = 0;
		run owner(HEIR, NEXT_EPOCH, first, HEIRS)
	}
#ifdef GRANT_BEFORE_FENCE
	;
	fence()
#endif
}

/* One slot by one-sided READ; the pulse, of the same chain, arrives when it will. */
inline read_slot(at) {
	atomic { ask(0, HEAD(at)); ask(1, TAIL(at)); ask(2, CHECK(at)) };
	d_step { now(0); now(1); now(2); skip };	/* the pulse may stay on its way */
	atomic {
		if
		:: VERIFIES(got[0], got[1], got[2], at) && ORDER(VERSION_OF(got[0])) > ORDER(best) ->
			best = VERSION_OF(got[0]);
			data = HASH(got[0], got[1])
		:: else
		fi;
		got[0] = 0; got[1] = 0; got[2] = 0
	}
}

/* The newest that verifies, not below what was returned before; if it is below the
 * pulse, which may have stood still for N tries or not, both outcomes are tried. */
inline accept() {
	if
	:: best && (SEQ_OF(best) >= got[3] || !quiet) && ORDER(best) >= ORDER(floor) ->
		/* whole, of one commit */
		assert(data == said[best]);
		/* one version, one content */
		assert(ORDER(best) != ORDER(floor) || content == 0 || data == content);
		/* begun after the grant: nothing of the dead one that the heir did not find */
#ifdef BEGUN_EARLIER
		heired = granted;
#endif
		assert(!heired || EPOCH_OF(best) == NEXT_EPOCH || SEQ_OF(best) < first);
		/* in silence: the newest there is */
		assert(!quiet || best == completed || best == VERSION(1, first - 1));
		floor = best;
		content = data;
		accepted = (!granted -> best : 0)
	:: best && SEQ_OF(best) < got[3] && !quiet	/* tries again */
	:: else ->
		/* in silence: something, at the first try */
		assert(!quiet)
	fi;
#ifdef FLOOR_FROM_PULSE
	if
	:: best && VERSION(EPOCH_OF(best), got[3]) > floor ->
		floor = VERSION(EPOCH_OF(best), got[3]);
		content = 0
	:: else
	fi
#endif
}

proctype reader() {
	LOADS;
	byte best, floor;
	short data, content;
	bool heired, quiet;
	do
	:: !quiet ->
		atomic { heired = granted; quiet = over; ask(3, PULSE) };
#if K == 1
		read_slot(0);
#else
		if
		:: read_slot(0); read_slot(1)
		:: read_slot(1); read_slot(0)
		fi;
#endif
		fence_acquire();
		atomic { accept(); best = 0; data = 0; got[3] = 0; heired = false }
	:: else -> break
	od
}

init {
	atomic {
		said[VERSION(1, 1)] = HASH(MAKE_HEAD(VERSION(1, 1), 1), 1);
		mem[HEAD(1)] = MAKE_HEAD(VERSION(1, 1), 1);
		mem[TAIL(1)] = 1;
		mem[CHECK(1)] = said[VERSION(1, 1)];
#if K > 1
		said[VERSION(1, 2)] = HASH(MAKE_HEAD(VERSION(1, 2), 1), 1);
		mem[HEAD(2)] = MAKE_HEAD(VERSION(1, 2), 1);
		mem[TAIL(2)] = 1;
		mem[CHECK(2)] = said[VERSION(1, 2)];
#endif
		mem[PULSE] = K;
		completed = VERSION(1, K);
		run drain(FIRST); run drain(HEIR);
		run owner(FIRST, 1, K + 1, COMMITS); run engine(); run reader()
	}
}
