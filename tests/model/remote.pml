/* remote.pml: an owner on another machine: a WRITE of the slot, a WRITE of the pulse,
 * whose words (the pulse in two halves) land in any order, also the pulse before the
 * slot. The owner acknowledges at their completion, and only then goes on. It is cut off
 * at any moment: of what is outstanding some words have landed, the others never do.
 * Readers, one a run: by one READ (rule: unordered.pml), and with LOCAL in mapped memory:
 * slot(pulse) if it verifies as just that seq and the next slot shows no greater one,
 * else the newest that verifies.
 * Shown: what is accepted is whole, is not below what had been acknowledged when the
 * operation began, nor below what was returned before; after the cut the newest whole
 * commit is read, although the pulse may be ahead of it, or torn.
 * Controls: NO_CHECK PULSE_IGNORED STILL=0 NEVER_STILL (nothing below the pulse is
 * taken) SEEN_FORGOTTEN (only what was returned is a floor) FLOOR_FROM_PULSE
 * EARLY_ACK (before the completion) TWO_OUTSTANDING (a second slot before the first one's
 * completion) SOURCE_TOUCHED (the next commit composed in the source of an outstanding
 * WRITE, whose retransmission takes the new words)
 * CONTENTS_REPEAT (a READ that spans three commits may verify one that never lay in
 * memory whole, so that nothing there reaches the floor: the heir's next commit does)
 * LOCAL: NO_CHECK (seq = pulse, twice, as where no NIC writes) AT_LEAST_PULSE (slot(pulse)
 * taken though above the pulse) NEXT_UNSEEN (no look at the next slot) NO_FALLBACK (slot(pulse) or nothing)
 */
#define K	2
#ifndef COMMITS
#define COMMITS	3	/* after a ring full */
#endif
#ifndef STILL
#define STILL	1	/* READs after the first with the same pulse */
#endif
#define FAR	3
#define DIGIT	8	/* a pulse's halves: two digits of this base */
#define LAST	6	/* newest commit at the start; the second one has a carry */
#define NONE	255

#define WORDS	(2 + 3 * K)
#define WRITERS	1
#ifdef TWO_OUTSTANDING
#define DEPTH	10
#else
#define DEPTH	5
#endif
#define REGS	8
#define LAZY
#include "weak.pml"

#define OWNER	0
#define HIGH	0
#define LOW	1
#define HEAD(v)	(2 + 3 * ((v) % K))	/* seq */
#define DATA(v)	(3 + 3 * ((v) % K))
#define CHECK(v) (4 + 3 * ((v) % K))
#define PULSE	(mem[HIGH] * DIGIT + mem[LOW])

#ifdef CONTENTS_REPEAT
#define DATA_OF(seq)	((seq) / 2 % 2)
#else
#define DATA_OF(seq)	((seq) / 2 % 3)		/* not in one slot */
#endif
#define HASH(head, data) ((head) * 3 + (data) + 1)

#ifdef NO_CHECK
#define CHECKED(head, data, check) true
#else
#define CHECKED(head, data, check) (check == HASH(head, data))
#endif
#define VERIFIES(head, data, check, at) \
	(head && head % K == at && CHECKED(head, data, check))

byte begun = LAST;	/* newest commit that was posted */
byte acked = LAST;
bool cut, silent;

inline post(v) {
	begun = v;
	store(OWNER, HEAD(v), v);
	store(OWNER, DATA(v), DATA_OF(v));
	store(OWNER, CHECK(v), HASH(v, DATA_OF(v)));
	store(OWNER, HIGH, (v) / DIGIT);
	store(OWNER, LOW, (v) % DIGIT)
}

#ifdef SOURCE_TOUCHED
/* What has not landed by now lands with the words of the next commit. */
inline touch(v) {
	do
	:: i < sb[OWNER].n ->
		if
		:: sb[OWNER].at[i] == HEAD(v) -> sb[OWNER].value[i] = v + 1
		:: sb[OWNER].at[i] == DATA(v) -> sb[OWNER].value[i] = DATA_OF(v + 1)
		:: sb[OWNER].at[i] == CHECK(v) -> sb[OWNER].value[i] = HASH(v + 1, DATA_OF(v + 1))
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0
}
#endif

proctype owner() {
	byte v = LAST + 1, i;
	{
		do
		:: v <= LAST + COMMITS ->
			atomic { post(v) };
#ifdef TWO_OUTSTANDING
			v++;
			atomic { post(v) };
#endif
#ifdef EARLY_ACK
			acked = v;
#endif
#ifdef SOURCE_TOUCHED
			d_step { touch(v) };
#endif
			atomic { fence_seq_cst(OWNER) -> acked = v; v++ }
		:: else -> break
		od;
		cut
	} unless { cut };
	/* the queue pair is gone: what is outstanding lands no more */
	atomic {
		do
		:: sb[OWNER].n > 0 -> take(OWNER, i)
		:: else -> break
		od;
		silent = true; v = 0
	}
}

proctype cutter() {
	cut = true
}

#if defined(PULSE_IGNORED)
#define FRESH	true
#else
#define FRESH	(best >= pulse && best - pulse <= FAR)
#endif
#ifdef NEVER_STILL
#define STOOD	false
#else
#define STOOD	(same >= STILL)
#endif

inline accept() {
	assert(best <= begun && data == DATA_OF(best));
	assert(best >= committed);
	assert(best >= returned);
	returned = best;
	floor = best;
	over = true;
	done = quiet
}

inline begin() {
	quiet = silent;
	if
	:: over -> committed = acked; same = 0; before = NONE; over = false
	:: else
	fi
}

#ifdef LOCAL
inline verify(at) {
	load_acquire(head, HEAD(at));
	if
	:: head && head % K == at ->
		atomic { ask(0, DATA(at)); ask(1, CHECK(at)) };
		fence_acquire();
#ifdef NO_CHECK
		head = (mem[HEAD(at)] == head -> head : 0);
#endif
		atomic {
			if
			:: head && CHECKED(head, got[0], got[1]) -> best = head; data = got[0]
			:: else -> best = 0
			fi;
			got[0] = 0; got[1] = 0; head = 0
		}
	:: else -> head = 0; best = 0
	fi
}

#if defined(AT_LEAST_PULSE)
#define NAMED	(best >= pulse)
#elif defined(NEXT_UNSEEN)
#define NAMED	(best == pulse)
#else
#define NAMED	(best == pulse && mem[HEAD(pulse + 1)] <= pulse)
#endif

inline attempt() {
	atomic { begin(); pulse = PULSE };
	if
	:: pulse % K == 0 -> verify(0)
	:: else -> verify(1)
	fi;
	if
	:: best && NAMED
	:: else ->
		best = 0;
#ifndef NO_FALLBACK
		/* candidates: the newest first, by the seq that they show */
		load_acquire(first, HEAD(0));
		load_acquire(head, HEAD(1));
		atomic { first = (first > head -> 0 : 1); head = 0 };
		if
		:: first == 0 -> verify(0)
		:: else -> verify(1)
		fi;
		if
		:: best
		:: !best && first == 0 -> verify(1)
		:: else -> verify(0)
		fi;
		first = 0
#endif
	fi;
	atomic {
		if
		:: best && best >= floor -> accept()
		:: else -> assert(!quiet)
		fi;
		best = 0; data = 0; pulse = 0; quiet = false
	}
}
#else
inline look_at(at) {
	if
	:: VERIFIES(got[3 * (at)], got[3 * (at) + 1], got[3 * (at) + 2], (at)) &&
	   got[3 * (at)] > best ->
		best = got[3 * (at)];
		data = got[3 * (at) + 1]
	:: else
	fi
}

inline attempt() {
	atomic {
		begin();
		ask(0, HEAD(0)); ask(1, DATA(0)); ask(2, CHECK(0));
		ask(3, HEAD(1)); ask(4, DATA(1)); ask(5, CHECK(1));
		ask(6, HIGH); ask(7, LOW)
	};
	fence_acquire();
	atomic {
		pulse = got[6] * DIGIT + got[7];
		look_at(0);
		look_at(1);
		same = (pulse == before -> (same < STILL -> same + 1 : same) : 0);
		if
		:: best && best >= floor && (FRESH || STOOD) -> accept()
		:: else ->
			/* in silence: in one operation of so many READs */
			assert(!quiet || same < STILL);
#ifndef SEEN_FORGOTTEN
			floor = (best > floor -> best : floor)
#endif
		fi;
#ifdef FLOOR_FROM_PULSE
		floor = (pulse > floor -> pulse : floor);
#endif
		before = pulse;
		best = 0; data = 0; pulse = 0; quiet = false;
		got[0] = 0; got[1] = 0; got[2] = 0; got[3] = 0;
		got[4] = 0; got[5] = 0; got[6] = 0; got[7] = 0
	}
}
#endif

proctype reader() {
	LOADS;
	byte best, data, pulse, committed, floor, returned, same, before = NONE;
#ifdef LOCAL
	byte head, first;
#endif
	bool quiet, over = true, done;
	do
	:: !done -> attempt()
	:: else -> break
	od
}

inline fill(v) {
	mem[HEAD(v)] = v;
	mem[DATA(v)] = DATA_OF(v);
	mem[CHECK(v)] = HASH(v, DATA_OF(v))
}

init {
	atomic {
		fill(LAST); fill(LAST - 1);
		mem[HIGH] = LAST / DIGIT;
		mem[LOW] = LAST % DIGIT;
		run drain(OWNER); run owner(); run cutter(); run reader()
	}
}
