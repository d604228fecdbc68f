/* cursor.pml: a cursor that follows every commit of a group through a ring of K
 * slots, and its account of lost ones. By default over a network: the words of a
 * slot (sequence; check, which verifies it) and the pulse are written and read in
 * any order, one slot outstanding. With LOCAL the owner and the reader share the
 * mapping: seq first with acquire, copy, acquire fence, seq again.
 * Shown: what is called lost is being overwritten or already is, what is delivered
 * is the commit asked for, and once the owner is silent none is "not yet" for ever.
 * Controls: LOST_BY_PULSE (the hint decides) LOST_BY_NEWS (a seq learnt during this
 * operation decides) LOST_UNSEEN (slot c not looked at) NEVER_LOST
 */
#define K	2
#define COMMITS	6

#define WORDS	(1 + 2 * K)
#define WRITERS	1
#define DEPTH	6
#define REGS	5
#include "weak.pml"

#define OWNER	0
#define PULSE	0
#define SEQ(v)	(1 + 2 * ((v) % K))
#define CHECK(v) (2 + 2 * ((v) % K))	/* LOCAL: the payload */

byte begun;		/* newest commit whose slot the owner has begun to write */
bool silent;		/* the owner is done and all its stores have landed */

proctype owner() {
	byte v = 1;
	do
	:: v <= COMMITS ->
		begun = v;
#ifdef LOCAL
		store(OWNER, SEQ(v), 0);
		fence_release(OWNER);
		store(OWNER, CHECK(v), v);
		store_release(OWNER, SEQ(v), v);
		store_release(OWNER, PULSE, v);
#else
		store(OWNER, SEQ(v), v);
		store(OWNER, CHECK(v), v);
		store(OWNER, PULSE, v);
		fence_seq_cst(OWNER);	/* completion */
#endif
		v++
	:: else -> break
	od;
	fence_seq_cst(OWNER);
	silent = true
}

/* seen[i] := the sequence slot i verifies as, or 0; hint := the pulse */
#ifdef LOCAL
inline look_at(i) {
	load_acquire(seen[i], SEQ(i));
	ask(0, CHECK(i));
	fence_acquire();
	ask(1, SEQ(i));
	fence_acquire();
	atomic {
		if
		:: got[1] != seen[i] -> seen[i] = 0
		:: else
		fi;
		assert(seen[i] == 0 || got[0] == seen[i]);
		got[0] = 0; got[1] = 0
	}
}

inline look() {
	load_acquire(hint, PULSE);
	if
	:: look_at(0); look_at(1)
	:: look_at(1); look_at(0)
	fi
}
#else
inline verify(i) {
	seen[i] = (got[2 * i] == got[2 * i + 1] -> got[2 * i] : 0);
	got[2 * i] = 0;
	got[2 * i + 1] = 0
}

inline look() {
	d_step {
		ask(0, SEQ(0)); ask(1, CHECK(0));
		ask(2, SEQ(1)); ask(3, CHECK(1)); ask(4, PULSE)
	};
	fence_acquire();
	atomic { verify(0); verify(1); hint = got[4]; got[4] = 0 }
}
#endif

#if defined(LOST_BY_PULSE)
#define GONE	(hint >= c)
#elif defined(LOST_BY_NEWS)
#define GONE	(known >= c || newest >= c)
#elif defined(NEVER_LOST)
#define GONE	false
#else
#define GONE	(known >= c || newest >= c + K)
#endif
#ifdef LOST_UNSEEN
#define HERE	(known < c && seen[c % K] == c)
#else
#define HERE	(seen[c % K] == c)
#endif
#define OLDER	(seen[c % K] != 0 && seen[c % K] < c)

/* One operation of the cursor on commit c: delivered, lost, or not yet. */
inline judge() {
	newest = (seen[0] > seen[1] -> seen[0] : seen[1]);
	if
	:: HERE -> c++
	:: !HERE && GONE && !OLDER ->
		assert(begun >= c + K);		/* c is lost indeed */
		c++
	:: else ->
		assert(!quiet)			/* a commit that exists is accounted for */
	fi;
	known = (newest > known -> newest : known)
}

proctype cursor() {
	LOADS;
	byte seen[K], c = 1, known, newest, hint;
	bool quiet;
	do
	:: c <= COMMITS ->
		quiet = silent;
		look();
		atomic {
			judge();
			newest = 0; hint = 0; seen[0] = 0; seen[1] = 0
		}
	:: else -> break
	od
}

init {
	atomic { run drain(OWNER); run owner(); run cursor() }
}
