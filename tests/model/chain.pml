/* chain.pml: steps of an owner on another machine: two groups, slots and `step complete`
 * written by WRITEs whose words land in any order; slots and `step complete`, which has a
 * check of its own, are torn for a while. A step of one group is one chain (slot, pulse, step); of several:
 * slots and pulses, their completion, then the step. Acknowledged when all is completed.
 * The owner is cut off at any moment; the engine then scrubs, sets the pulses and, if it
 * does not verify, `step complete` := newest step that a slot verifies with.
 * The reader gets `step complete` by one READ and, when it has it, both rings by others,
 * words in any order; of each ring the newest that verifies, which must not be below the
 * pulse, and from it down without a gap to the first with step <= S.
 * Shown: a snapshot is the state after one step, not after a part of one; this step is not
 * before the last one acknowledged when the operation began, nor after S; after the
 * takeover it is had at the first try.
 * Controls: STEP_IN_CHAIN (with several slots) STEP_UNCHECKED (torn: a mix) STEP_WITH_RINGS
 * (one chain of READs) PULSE_IGNORED GAPS EARLY_ACK (the step's WRITE not waited for) STEP_LEFT
 * (by the engine, torn as it is)
 */
#define K	2
#ifndef STEPS
#define STEPS	3	/* after the one that is there */
#endif
#define DIGIT	4	/* `step complete` is torn between two digits of this base */
#define LAST	3	/* complete at the start; the next step has a carry */

#define WORDS	(1 + 2 * (1 + K))
#define WRITERS	2
#define DEPTH	8
#define REGS	4
#define LAZY
#include "weak.pml"

#define OWNER	0
#define ENGINE	1
#define COMPLETE 0
#define PULSE(g)	(1 + (g) * (1 + K))
#define SLOT(g, v)	(PULSE(g) + 1 + (v) % K)

/* A slot is torn, or verifies as its seq and step. */
#define TORN		1
#define CONTENT(seq, step)	((seq) * 16 + (step))
#define SEQ_OF(content)	((content) / 16)
#define STEP_OF(content) ((content) % 16)
#define VERIFIES(content) (SEQ_OF(content) != 0)

/* So does `step complete`, but torn it still shows a number. */
#define WHOLE(step)	((step) * 2 + 1)
#define LOW_TORN(step)	(((step) - 1) / DIGIT * DIGIT + (step) % DIGIT)
#define HIGH_TORN(step)	((step) / DIGIT * DIGIT + ((step) - 1) % DIGIT)

typedef history { byte step[LAST + STEPS + 1] }
history truth[2];	/* truth[g].step[s]: step of g's newest commit with step <= s */
byte acked = LAST;
bool cut, silent;

inline post(g) {
	seq[g]++;
	truth[g].step[s] = s;
	store(OWNER, SLOT(g, seq[g]), TORN);
	store(OWNER, SLOT(g, seq[g]), CONTENT(seq[g], s));
	store(OWNER, PULSE(g), seq[g])
}

inline complete() {
	if
	:: s % DIGIT == 0 -> store(OWNER, COMPLETE, LOW_TORN(s) * 2)
	:: s % DIGIT == 0 -> store(OWNER, COMPLETE, HIGH_TORN(s) * 2)
	:: else		/* one digit changes: old or new */
	fi;
	store(OWNER, COMPLETE, WHOLE(s))
}

/* Every step commits group 1; the first, and then any, commits group 0 with it. */
proctype owner() {
	byte s = LAST + 1, seq[2], i;
	bool several;
	seq[0] = 1; seq[1] = 1;
	{
		do
		:: s <= LAST + STEPS ->
			if
			:: atomic { several = true; post(0); post(1) }
			:: atomic { s > LAST + 1 -> truth[0].step[s] = truth[0].step[s - 1]; post(1) }
			fi;
			if
			:: several ->
#ifndef STEP_IN_CHAIN
				fence_seq_cst(OWNER);
#endif
				several = false
			:: else
			fi;
			atomic { complete() };
#ifdef EARLY_ACK
			/* slots and pulses only */
			sb[OWNER].n == 0 || sb[OWNER].at[0] == COMPLETE;
			acked = s;
#endif
			atomic { fence_seq_cst(OWNER) -> acked = s; s++ }
		:: else -> break
		od;
		cut
	} unless { cut };
	atomic {
		do
		:: sb[OWNER].n > 0 -> take(OWNER, i)
		:: else -> break
		od;
		s = 0; seq[0] = 0; seq[1] = 0; several = false
	};
	run engine()
}

proctype cutter() {
	cut = true
}

inline scrub(g, at) {
	if
	:: VERIFIES(mem[SLOT(g, at)]) ->
		newest = (SEQ_OF(mem[SLOT(g, at)]) > newest -> SEQ_OF(mem[SLOT(g, at)]) : newest);
		step = (STEP_OF(mem[SLOT(g, at)]) > step -> STEP_OF(mem[SLOT(g, at)]) : step)
	:: else -> store(ENGINE, SLOT(g, at), 0)
	fi
}

proctype engine() {
	byte newest, step;
	atomic {
		scrub(0, 0); scrub(0, 1);
		store(ENGINE, PULSE(0), newest);
		newest = 0;
		scrub(1, 0); scrub(1, 1);
		store(ENGINE, PULSE(1), newest);
		newest = 0;
#ifndef STEP_LEFT
		if
		:: mem[COMPLETE] % 2 == 0 -> store(ENGINE, COMPLETE, WHOLE(step))
		:: else
		fi;
#endif
		step = 0
	};
	fence_seq_cst(ENGINE);
	silent = true
}

inline ask_ring(g) {
	ask(0, PULSE(g)); ask(1, SLOT(g, 0)); ask(2, SLOT(g, 1))
}

inline take_step() {
#ifdef STEP_UNCHECKED
	S = got[3] / 2;
#else
	S = (got[3] % 2 -> got[3] / 2 : 0);
#endif
	got[3] = 0
}

#ifdef PULSE_IGNORED
#define PULSE_READ 0
#else
#define PULSE_READ got[0]
#endif

/* Down from the newest without a gap: a READ may hold an old slot beside a new one. */
#ifdef GAPS
#define FOLLOWS(old, new) (VERIFIES(old))
#else
#define FOLLOWS(old, new) (VERIFIES(old) && SEQ_OF(old) + 1 == SEQ_OF(new))
#endif

/* found[g]: step of the newest commit with step <= S, 0: none to be had */
inline take_ring(g) {
	newest = (SEQ_OF(got[1]) > SEQ_OF(got[2]) -> 1 : 2);
	if
	:: SEQ_OF(got[newest]) < PULSE_READ	/* torn or late: none */
	:: else ->
		if
		:: !VERIFIES(got[newest])
		:: VERIFIES(got[newest]) && STEP_OF(got[newest]) <= S -> found[g] = STEP_OF(got[newest])
		:: else ->
			if
			:: FOLLOWS(got[3 - newest], got[newest]) && STEP_OF(got[3 - newest]) <= S ->
				found[g] = STEP_OF(got[3 - newest])
			:: else
			fi
		fi
	fi;
	newest = 0;
	got[0] = 0; got[1] = 0; got[2] = 0
}

#define AFTER(s)	(s >= begun && s <= S && s <= LAST + STEPS && \
	truth[0].step[s] == found[0] && truth[1].step[s] == found[1])

proctype reader() {
	LOADS;
	byte S, begun, newest, found[2];
	bool quiet, again, done;
	do
	:: !done ->
		atomic {
			quiet = silent;
			begun = (again -> begun : acked);
			ask(3, COMPLETE);
#ifdef STEP_WITH_RINGS
			ask_ring(0)
#endif
		};
		fence_acquire();
		atomic {
			take_step();
#ifndef STEP_WITH_RINGS
			ask_ring(0)
#endif
		};
		fence_acquire();
		atomic { take_ring(0); ask_ring(1) };
		fence_acquire();
		atomic {
			take_ring(1);
			if
			:: S && found[0] && found[1] ->
				assert(AFTER(LAST) || AFTER(LAST + 1) || AFTER(LAST + 2) || AFTER(LAST + STEPS));
				again = false;
				done = quiet
			:: else ->
				assert(!quiet);
				again = true
			fi;
			S = 0; found[0] = 0; found[1] = 0; quiet = false;
			begun = (again -> begun : 0)
		}
	:: else -> break
	od
}

inline fill(g) {
	mem[SLOT(g, 1)] = CONTENT(1, LAST);
	mem[PULSE(g)] = 1;
	truth[g].step[LAST] = LAST
}

init {
	atomic {
		fill(0); fill(1);
		mem[COMPLETE] = WHOLE(LAST);
		run drain(OWNER); run drain(ENGINE); run owner(); run cutter(); run reader()
	}
}
