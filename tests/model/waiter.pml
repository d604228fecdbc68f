/* waiter.pml: two readers sleep on the pulse of a locally written group; the owner
 * wakes only if one is counted. Kernel: FUTEX_WAIT compares and enqueues in one.
 * Shown: no lost wake-up, that is, no state in which the owner is done and a waiter
 * sleeps for ever although a newer commit exists (spin: invalid end state).
 * Controls: NO_FENCE (between pulse and count) REREAD_WORD (sleeps on a value loaded
 * after the check) NO_COMPARE (sleeps whatever the word is) COUNT_AFTER_COMPARE
 * UNCOUNTED_AGAIN (counted for the first sleep only).
 * No control, verifies too: COUNT_AFTER_CHECK, since the kernel's comparison is the
 * last check and still comes after the count.
 */
#define COMMITS	3

#define WORDS	2
#define WRITERS	1
#define DEPTH	2
#define REGS	1
#include "weak.pml"

#define OWNER	0
#define PULSE	0
#define WAITERS	1

bool asleep[2];

proctype owner() {
	byte v = 1;
	do
	:: v <= COMMITS ->
		store_release(OWNER, PULSE, v);
#ifndef NO_FENCE
		fence_seq_cst(OWNER);
#endif
		if
		:: mem[WAITERS] > 0 -> d_step { asleep[0] = false; asleep[1] = false }
		:: else
		fi;
		v++
	:: else -> break
	od
}

/* read-modify-write: no buffer holds it */
#define count(n)	mem[WAITERS] = mem[WAITERS] + (n); counted = (n) > 0

inline futex_wait(value) {
#ifdef NO_COMPARE
	asleep[me] = true;
#else
	asleep[me] = (mem[PULSE] == value);
#endif
#ifdef COUNT_AFTER_COMPARE
	atomic { !counted -> count(1) };
#endif
	!asleep[me]
}

/* Returns, as dsm_wait does, once the pulse is above the last; p is what it saw. */
inline wait_for_news() {
#if !defined(COUNT_AFTER_CHECK) && !defined(COUNT_AFTER_COMPARE)
	atomic { count(1) };
#endif
	do
	:: load_acquire(p, PULSE);
		if
		:: p > last -> break
		:: else
		fi;
#ifdef COUNT_AFTER_CHECK
		atomic { !counted -> count(1) };
#endif
#ifdef REREAD_WORD
		load_acquire(p, PULSE);
#endif
		futex_wait(p);
#if defined(COUNT_AFTER_CHECK) || defined(COUNT_AFTER_COMPARE) || defined(UNCOUNTED_AGAIN)
		if
		:: atomic { counted -> count(-1) }
		:: else
		fi
#endif
	od;
	if
	:: atomic { counted -> count(-1) }
	:: else
	fi
}

proctype waiter(byte me) {
	byte last, p;
	bool counted;
	do
	:: last < COMMITS ->
		wait_for_news();
		d_step { last = p; p = 0 }
	:: else -> break
	od
}

init {
	atomic { run drain(OWNER); run owner(); run waiter(0); run waiter(1) }
}
