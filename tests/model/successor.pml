/* successor.pml: two owners of one group, one after the other, on other machines (with
 * TWICE three, the last being the first one come back, and no reader). Each is fenced at any moment, with any words of its
 * WRITEs landed and the rest on the way. Engine: fence (queue pair and registration are
 * gone: no late byte), scrub, pulse := newest verified, grant of epoch + 1 and of the
 * seq after it; the grantee loads its image from the ring. A reader reads throughout by
 * one READ whose words arrive in any order (rule: unordered.pml). A slot holds version
 * and writer, a count (how many commits its image contains) and the check of both.
 * Shown: an acknowledged commit is found by every takeover and contained in every later
 * image; what is read is whole, one content a version, not below what had been
 * acknowledged when the operation began nor below what was returned before; a READ begun
 * after a grant returns nothing of the dead that the grantee did not find; after the last
 * owner the first READ is accepted (but for a GHOST, below).
 * Controls: NO_FENCE (late WRITEs land on) GRANT_BEFORE_FENCE SCRUB_BEFORE_FENCE NO_SCRUB
 * PULSE_LEFT EPOCH_KEPT FIRST_FROM_PULSE FIRST_FROM_HEADS (neither verified)
 * FLOOR_FROM_PULSE NO_CHECK EARLY_ACK K=1; with TWICE: NO_FENCE IMAGE_KEPT (who comes back
 * goes on with its own) REPOSTED (who comes back posts again what had no completion)
 */
#ifndef K
#define K	2
#endif
#define NONE	255
#ifdef TWICE
#define LAST	2
#else
#define LAST	1
#endif

#define WORDS	(1 + 3 * K)
#define WRITERS	3
#define DEPTH	5
#define REGS	7
#define LAZY
#include "weak.pml"

#define PULSE	0
#define HEAD(v)	(1 + 3 * ((v) % K))	/* v: a seq or a version, alike mod K */
#define COUNT(v) (2 + 3 * ((v) % K))
#define CHECK(v) (3 + 3 * ((v) % K))

#define VERSION(epoch, seq)	((epoch) * 8 + (seq))
#define EPOCH_OF(version)	((version) / 8)
#define SEQ_OF(version)		((version) % 8)
#define MAKE_HEAD(version, me)	((version) * 4 + (me))
#define VERSION_OF(head)	((head) / 4)
#define HASH(head, count)	((head) * 8 + (count))

#ifdef NO_CHECK
#define CHECKED(head, count, check) true
#else
#define CHECKED(head, count, check) (check == HASH(head, count))
#endif
#define IN_PLACE(head, at) (head && SEQ_OF(VERSION_OF(head)) % K == at)
#define VERIFIES(head, count, check, at) \
	(IN_PLACE(head, at) && CHECKED(head, count, check))

bool open[3] = true;	/* its queue pair may still complete */
byte epoch = 1, first;	/* of the last grant */
byte acked, contained;	/* newest acknowledged version, and the count in it */
short said[32];		/* said[version]: content its owner gave it, as HASH */
byte kept, unposted;	/* of the first owner: its count; version without completion */
bool over;

inline post(me, version, count) {
	said[version] = HASH(MAKE_HEAD(version, me), count);
	store(me, HEAD(version), MAKE_HEAD(version, me));
	store(me, COUNT(version), count);
	store(me, CHECK(version), said[version]);
	store(me, PULSE, SEQ_OF(version))
}

inline acknowledge(version) {
	/* nothing acknowledged before is missing in this image */
	assert(version == acked || count > contained);
	acked = version;
	contained = count
}

/* One commit, or none. */
proctype owner(byte me; byte e; byte seq; byte count) {
	if
	:: atomic {
			open[me] ->
#ifdef REPOSTED
			if
			:: me == 2 && unposted -> post(me, unposted, kept)
			:: else
			fi
		};
		atomic {
			fence_seq_cst(me);
#endif
			post(me, VERSION(e, seq), count);
			if
			:: me == 0 -> kept = count; unposted = VERSION(e, seq)
			:: else
			fi;
#ifdef EARLY_ACK
			acknowledge(VERSION(e, seq))
#endif
		};
		atomic {
			fence_seq_cst(me);	/* completion, or an error */
			if
			:: open[me] ->
				acknowledge(VERSION(e, seq));
				if
				:: me == 0 -> unposted = 0
				:: else
				fi
			:: else
			fi
		}
	:: true
	fi;
	atomic { over = over || me == LAST; e = 0; seq = 0; count = 0 }
}

inline fence(me) {
	atomic {
		open[me] = false;
#ifndef NO_FENCE
		do
		:: sb[me].n > 0 -> take(me, i)
		:: else -> break
		od
#endif
	}
}

inline scrub(at, by) {
	if
	:: VERIFIES(mem[HEAD(at)], mem[COUNT(at)], mem[CHECK(at)], at) ->
		i = SEQ_OF(VERSION_OF(mem[HEAD(at)]));
		newest = (i > newest -> i : newest);
		i = 0
	:: else ->
#ifdef FIRST_FROM_HEADS
		i = SEQ_OF(VERSION_OF(mem[HEAD(at)]));
		newest = (i > newest -> i : newest);
		i = 0;
#endif
#ifndef NO_SCRUB
		store(by, HEAD(at), 0);
		store(by, CHECK(at), 0)
#endif
	fi
}

/* The engine's stores are done before those of the grantee begin: its buffer serves. */
inline takeover(me, next) {
#if !defined(GRANT_BEFORE_FENCE) && !defined(SCRUB_BEFORE_FENCE)
	fence(me);
#endif
	atomic {
		scrub(0, next);
#if K > 1
		scrub(1, next)
#endif
	};
	fence_seq_cst(next);
#ifdef SCRUB_BEFORE_FENCE
	fence(me);
#endif
#ifdef FIRST_FROM_PULSE
	newest = mem[PULSE];
#endif
#ifndef PULSE_LEFT
	store(next, PULSE, newest);
#endif
	fence_seq_cst(next);
	atomic {
		first = newest + 1;
#ifndef EPOCH_KEPT
		epoch++;
#endif
		/* what was acknowledged is there, and nobody else's under its number */
		assert(SEQ_OF(acked) < first);
		assert(SEQ_OF(acked) < newest || VERSION_OF(mem[HEAD(newest)]) == acked);
		newest = mem[COUNT(newest)] + 1;
#ifdef IMAGE_KEPT
		newest = (next == 2 -> kept + 1 : newest);
#endif
		if
		:: me < LAST -> run owner(next, epoch, first, newest)
		:: else
		fi;
		newest = 0
	}
#ifdef GRANT_BEFORE_FENCE
	;
	fence(me)
#endif
}

proctype engine() {
	byte newest, i;
	takeover(0, 1);
#ifdef TWICE
	takeover(1, 2);
	takeover(2, 0)
#endif
}

inline look_at(at) {
	if
	:: VERIFIES(got[3 * (at)], got[3 * (at) + 1], got[3 * (at) + 2], (at)) &&
	   VERSION_OF(got[3 * (at)]) > best ->
		best = VERSION_OF(got[3 * (at)]);
		data = HASH(got[3 * (at)], got[3 * (at) + 1])
	:: else
	fi
}

/* A READ across the takeover has put together what the dead one wrote, out of the dead
 * one's words and equal ones of its heir: nothing comes up to it but the next commit. */
#define GHOST	(EPOCH_OF(floor) < granted && SEQ_OF(floor) >= from)

inline judge() {
	pulse = got[6];
	same = pulse == before;
	if
	:: best && best >= floor && SEQ_OF(best) >= hint && (SEQ_OF(best) >= pulse || same) ->
		assert(data == said[best]);
		assert(best >= committed);
		assert(best >= returned);
		assert(EPOCH_OF(best) >= granted || SEQ_OF(best) < from);
		/* after the last owner the pulse is no longer ahead */
		assert(!quiet || SEQ_OF(best) >= pulse);
		returned = best;
		floor = best;
		again = false;
		done = quiet
	:: else ->
		assert(!quiet || GHOST);
		done = quiet;
		again = true;
		floor = (best > floor -> best : floor)
	fi;
#ifdef FLOOR_FROM_PULSE
	hint = (pulse > hint -> pulse : hint);
#endif
	before = (again -> pulse : NONE)
}

inline ask_slot(at) {
	ask(3 * (at), HEAD(at));
	ask(3 * (at) + 1, COUNT(at));
	ask(3 * (at) + 2, CHECK(at))
}

proctype reader() {
	LOADS;
	byte best, pulse, committed, floor, hint, returned, granted, from, before = NONE;
	short data;
	bool quiet, again, done, same;
	do
	:: !done ->
		atomic {
			quiet = over; granted = epoch; from = (epoch > 1 -> first : NONE);
			committed = (again -> committed : acked);
			ask_slot(0);
#if K > 1
			ask_slot(1);
#endif
			ask(6, PULSE)
		};
		fence_acquire();
		atomic {
			look_at(0);
#if K > 1
			look_at(1);
#endif
			judge();
			best = 0; data = 0; pulse = 0; granted = 0; from = 0; quiet = false; same = false;
			committed = (again -> committed : 0);
			got[0] = 0; got[1] = 0; got[2] = 0; got[3] = 0; got[4] = 0; got[5] = 0; got[6] = 0
		}
	:: else -> break
	od
}

inline fill(seq) {
	said[VERSION(1, seq)] = HASH(MAKE_HEAD(VERSION(1, seq), 0), seq);
	mem[HEAD(seq)] = MAKE_HEAD(VERSION(1, seq), 0);
	mem[COUNT(seq)] = seq;
	mem[CHECK(seq)] = said[VERSION(1, seq)]
}

init {
	atomic {
#if K > 1
		fill(1);
#endif
		fill(2);
		mem[PULSE] = 2;
		acked = VERSION(1, 2); contained = 2; kept = 2;
		run drain(0); run drain(1); run drain(2);
		run owner(0, 1, 3, 3); run engine();
#ifndef TWICE
		run reader()
#endif
	}
}
