/* steps.pml: a snapshot of two groups of one owner by step. Each step commits one
 * group or both, then publishes `step complete`. The reader acquires S and takes in
 * each ring the newest commit with step <= S, walking back from the pulse.
 * Shown: per group the snapshot holds the newest commit with a step <= S and nothing
 * else, a group that step S left alone included; a silent owner's can be had.
 * Controls: COMPLETE_EARLY (before the last group) COMPLETE_RELAXED (store relaxed)
 * UNBOUNDED (newest, whatever its step) NO_RETRY (too old: takes the oldest there is)
 * STALE_PULSE (loaded before S)
 */
#define K	2
#define STEPS	4

#define WORDS	(1 + 2 * (1 + 2 * K))
#define WRITERS	1
#define DEPTH	7
#define REGS	2
#include "weak.pml"

#define OWNER	0
#define COMPLETE 0
#define PULSE(g)	(1 + (g) * (1 + 2 * K))
#define SEQ(g, v)	(PULSE(g) + 1 + 2 * ((v) % K))
#define STEP(g, v)	(PULSE(g) + 2 + 2 * ((v) % K))	/* also the payload */

typedef history { byte newest[STEPS + 1] }
history truth[2];	/* truth[g].newest[s]: step of g's newest commit with step <= s */
bool silent;

inline commit(g) {
	seq[g]++;
	truth[g].newest[s] = s;
	store(OWNER, SEQ(g, seq[g]), 0);
	fence_release(OWNER);
	store(OWNER, STEP(g, seq[g]), s);
	store_release(OWNER, SEQ(g, seq[g]), seq[g]);
	store_release(OWNER, PULSE(g), seq[g])
}

inline complete() {
#ifdef COMPLETE_RELAXED
	store(OWNER, COMPLETE, s)
#else
	store_release(OWNER, COMPLETE, s)
#endif
}

/* Every step commits group 1; the first, and then any, commits group 0 before it. */
proctype owner() {
	byte s = 1, seq[2];
	do
	:: s <= STEPS ->
		d_step {
			truth[0].newest[s] = truth[0].newest[s - 1];
			truth[1].newest[s] = truth[1].newest[s - 1]
		};
		if
		:: commit(0)
		:: s > 1
		fi;
#ifdef COMPLETE_EARLY
		complete();
#endif
		commit(1);
#ifndef COMPLETE_EARLY
		complete();
#endif
		s++
	:: else -> break
	od;
	fence_seq_cst(OWNER);
	silent = true
}

/* From pulse p: found[g] := step of g's newest commit with step <= S, 0: none to be had */
inline search(g) {
	do
	:: p > 0 ->
		load_acquire(v, SEQ(g, p));
		ask(0, STEP(g, p));
		fence_acquire();
		ask(1, SEQ(g, p));
		fence_acquire();
		if
		:: v != p || got[1] != p -> break		/* overwritten: too old */
#ifndef UNBOUNDED
		:: v == p && got[1] == p && got[0] > S ->
#ifdef NO_RETRY
			found[g] = got[0];
#endif
			p--
#endif
		:: else -> found[g] = got[0]; break
		fi
	:: else -> break
	od;
	atomic { p = 0; v = 0; got[0] = 0; got[1] = 0 }
}

proctype reader() {
	LOADS;
	byte S, p, v, found[2];
	bool quiet, done;
	do
	:: !done ->
		quiet = silent;
#ifdef STALE_PULSE
		load_acquire(p, PULSE(0));
#endif
		load_acquire(S, COMPLETE);
		if
		:: S == 0
		:: else ->
#ifndef STALE_PULSE
			load_acquire(p, PULSE(0));
#endif
			search(0);
			load_acquire(p, PULSE(1));
			search(1);
			if
			:: found[0] && found[1] ->
				assert(found[0] == truth[0].newest[S]);
				assert(found[1] == truth[1].newest[S]);
				done = true
			:: else -> assert(!quiet)
			fi
		fi;
		atomic { S = 0; found[0] = 0; found[1] = 0 }
	:: else -> break
	od
}

init {
	atomic { run drain(OWNER); run owner(); run reader() }
}
