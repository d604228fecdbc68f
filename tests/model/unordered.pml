/* unordered.pml: one READ of a whole ring and its pulse, whose words arrive in any
 * order, the pulse even in two halves, while a local owner commits, wraps the ring and
 * may be killed at any store. One slot may hold what a check verifies although it has no
 * business there: a version of the other slot, or one of another length.
 * Shown: what is accepted was committed and is whole, is not below what had been
 * committed when the READ began, nor below what this reader returned before; once the
 * owner is silent the first READ is accepted.
 * Rule: newest that verifies, if 0 <= it - pulse <= FAR (further below, a pulse is
 * torn), or if the pulse stood still since an earlier READ of the same operation. What
 * verified is a floor from then on, taken or not.
 * With PREDICTED: pulse and one slot only, that of the last pulse or, if this is newer,
 * of what was returned last.
 * Controls: NO_CHECK NO_INDEX_CHECK NO_LENGTH_CHECK PULSE_IGNORED TORN_PULSE_TAKEN (no
 * FAR) STILL=0 (below the pulse taken at the first try) NO_FLOOR FLOOR_FROM_PULSE K=1
 * PULSE_GUESS (PREDICTED by the pulse alone)
 */
#ifndef K
#define K	2
#endif
#ifndef COMMITS
#define COMMITS	2	/* after a ring full */
#endif
#define FAR	3
#ifndef STILL
#define STILL	1	/* READs after the first with the same pulse */
#endif
#define DIGIT	8	/* a pulse's halves: two digits of this base */
#define NONE	255	/* no pulse read yet */
#define LAST	7	/* newest commit at the start; the next one has a carry */

#define WORDS	(1 + 3 * K)
#define WRITERS	1
#define DEPTH	6
#define REGS	8
#define LAZY
#include "weak.pml"

#define OWNER	0
#define PULSE	0
#define HEAD(v)	(1 + 3 * ((v) % K))	/* seq and length (0: the directory's) */
#define DATA(v)	(2 + 3 * ((v) % K))
#define CHECK(v) (3 + 3 * ((v) % K))

#define MAKE_HEAD(seq, length)	((seq) * 2 + (length))
#define SEQ_OF(head)		((head) / 2)
#define DATA_OF(seq)		((seq) / 2 % 2)	/* contents repeat, as values do */
#define HASH(head, data)	((head) * 2 + (data) + 1)

#ifdef NO_CHECK
#define CHECKED(head, data, check) true
#else
#define CHECKED(head, data, check) (check == HASH(head, data))
#endif
#ifdef NO_INDEX_CHECK
#define IN_PLACE(head, at) true
#else
#define IN_PLACE(head, at) (SEQ_OF(head) % K == at)
#endif
#ifdef NO_LENGTH_CHECK
#define OF_LENGTH(head) true
#else
#define OF_LENGTH(head) ((head) % 2 == 0)
#endif
#define VERIFIES(head, data, check, at) \
	(head && OF_LENGTH(head) && IN_PLACE(head, at) && CHECKED(head, data, check))

byte begun = LAST;	/* newest commit whose slot the owner has begun to write */
bool killed, silent;

proctype owner() {
	byte v = LAST + 1;
	{
		do
		:: v <= LAST + COMMITS ->
			begun = v;
			store(OWNER, HEAD(v), 0);
			fence_release(OWNER);
			store(OWNER, DATA(v), DATA_OF(v));
			store(OWNER, CHECK(v), HASH(MAKE_HEAD(v, 0), DATA_OF(v)));
			store_release(OWNER, HEAD(v), MAKE_HEAD(v, 0));
			store_release(OWNER, PULSE, v);
			v++
		:: else -> break
		od;
		killed
	} unless { killed };
	fence_seq_cst(OWNER);
	atomic { silent = true; v = 0 }
}

proctype killer() {
	killed = true
}

inline look_at(at) {
	if
	:: VERIFIES(got[3 * (at)], got[3 * (at) + 1], got[3 * (at) + 2], (at)) &&
	   SEQ_OF(got[3 * (at)]) > best ->
		best = SEQ_OF(got[3 * (at)]);
		data = got[3 * (at) + 1]
	:: else
	fi
}

#ifdef PULSE_IGNORED
#define FRESH	true
#elif defined(TORN_PULSE_TAKEN)
#define FRESH	(best >= pulse)
#else
#define FRESH	(best >= pulse && best - pulse <= FAR)
#endif
#ifdef NO_FLOOR
#define NOT_BELOW true
#else
#define NOT_BELOW (best >= floor)
#endif
#ifdef PREDICTED
#ifdef PULSE_GUESS
#define NEXT	pulse
#else
#define NEXT	(floor > pulse -> floor : pulse)
#endif
#define MISSED	(guess != NEXT)
#else
#define MISSED	false
#endif

inline judge() {
	same = (pulse == before && same < STILL -> same + 1 : (pulse == before -> same : 0));
	if
	:: best && NOT_BELOW && (FRESH || same >= STILL) ->
		assert(best <= begun && data == DATA_OF(best));
		assert(best >= committed);
		assert(best >= returned);
		returned = best;
		floor = best;
		over = true;
		done = quiet
	:: else ->
		assert(!quiet || MISSED);
#ifndef NO_FLOOR
		floor = (best > floor -> best : floor)
#endif
	fi;
#ifdef FLOOR_FROM_PULSE
	floor = (pulse > floor -> pulse : floor);
#endif
#ifdef PREDICTED
	guess = NEXT;
#endif
	before = pulse
}

inline ask_slot(v) {
	ask(3 * ((v) % K), HEAD(v));
	ask(3 * ((v) % K) + 1, DATA(v));
	ask(3 * ((v) % K) + 2, CHECK(v))
}

proctype reader() {
	LOADS;
	byte best, data, pulse, committed, floor, returned, same, before = NONE, guess = LAST;
	bool quiet, over = true, done;
	do
	:: !done ->
		atomic {
			quiet = silent;
			if
			:: over -> committed = mem[PULSE]; same = 0; over = false
			:: else
			fi;
			ask(6, PULSE); ask(7, PULSE);
#ifdef PREDICTED
			ask_slot(guess)
#else
			ask_slot(0);
#if K > 1
			ask_slot(1)
#endif
#endif
		};
		fence_acquire();
		atomic {
			pulse = got[6] / DIGIT * DIGIT + got[7] % DIGIT;
			look_at(0);
#if K > 1
			look_at(1);
#endif
			judge();
			best = 0; data = 0; pulse = 0; quiet = false;
			got[0] = 0; got[1] = 0; got[2] = 0; got[3] = 0;
			got[4] = 0; got[5] = 0; got[6] = 0; got[7] = 0
		}
	:: else -> break
	od
}

inline fill(v, head) {
	mem[HEAD(v)] = head;
	mem[DATA(v)] = DATA_OF(LAST);
	mem[CHECK(v)] = HASH(head, DATA_OF(LAST))
}

init {
	atomic {
		fill(LAST, MAKE_HEAD(LAST, 0));
#if K > 1
		if
		:: fill(LAST - 1, MAKE_HEAD(LAST - 1, 0))
		:: fill(LAST - 1, MAKE_HEAD(LAST + 2, 0))	/* the other slot's */
		:: fill(LAST - 1, MAKE_HEAD(LAST + 1, 1))	/* of another length */
		fi;
#endif
		mem[PULSE] = LAST;
		run drain(OWNER); run owner(); run killer(); run reader()
	}
}
