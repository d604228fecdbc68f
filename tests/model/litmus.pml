/* litmus.pml: is weak.pml as weak as ARMv8, and no weaker? The classic shapes, small
 * enough to know the answer: message passing (by fence, by store-release, one word
 * twice), store buffering. With every fence in place no forbidden outcome is reached;
 * each control takes one away and must reach it, or the other models prove nothing.
 * Controls: MP_NO_FENCE MP_RELEASE_FIRST (a store-release holds nothing back that
 * follows it) MP_RELAXED_FLAG MP_LOADS_UNORDERED SB_NO_FENCE SB_RELEASE_FENCE
 */
#define WORDS	5
#define WRITERS	3
#define DEPTH	6
#define REGS	3
#include "weak.pml"

#define X	0
#define Y	1
#define Z	2
#define LEFT	3
#define RIGHT	4

proctype mp_writer() {
#ifdef MP_RELEASE_FIRST
	store_release(0, X, 1);
#else
	store(0, X, 1);
#ifndef MP_NO_FENCE
	fence_release(0);
#endif
#endif
	store(0, Y, 1);
	store(0, X, 2);
#ifdef MP_RELAXED_FLAG
	store(0, Z, 1)
#else
	store_release(0, Z, 1)
#endif
}

proctype mp_reader() {
	LOADS;
	byte again;
#ifdef MP_LOADS_UNORDERED
	atomic { ask(0, Z); ask(1, Y); ask(2, X) };
#else
	ask(0, Z);
	fence_acquire();
	ask(1, Y);
	fence_acquire();
	ask(2, X);
#endif
	fence_acquire();
	load_acquire(again, X);
	assert(!got[1] || got[2]);		/* Y = 1: X at least 1 */
	assert(!got[0] || got[2] == 2);		/* Z = 1: all that went before */
	assert(got[2] <= again)			/* one word never runs backwards */
}

byte seen[2];
byte ready;

proctype buffered(byte me) {
	store(1 + me, LEFT + me, 1);
#if defined(SB_RELEASE_FENCE)
	fence_release(1 + me);
#elif !defined(SB_NO_FENCE)
	fence_seq_cst(1 + me);
#endif
	load_acquire(seen[me], RIGHT - me);
	ready++;
	assert(ready < 2 || seen[0] || seen[1])
}

init {
	atomic {
		run drain(0); run drain(1); run drain(2);
		run mp_writer(); run mp_reader(); run buffered(0); run buffered(1)
	}
}
