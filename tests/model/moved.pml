/* moved.pml: a local owner dies, or is stopped and goes on later; the heir is local.
 * If its exit is proved, the engine works in place. If not, it fences by a new memory
 * and a new bank epoch in the directory, and copies what verifies, while the old owner
 * may write on. A reader enters by the pulse and checks seq, then the bank epoch again.
 * Shown: what is accepted is whole, never runs backwards, never is a commit that the
 * heir does not know of; in silence the newest is read.
 * Controls: NO_RECHECK (of the bank epoch) COPY_BEFORE_FENCE EXIT_UNPROVED (in place
 * with the owner alive) SINGLE_SCAN (newest verified taken though below the pulse)
 * FLOOR_UNVERIFIED (the heir begins after a seq that nobody verified)
 */
#define K	2
#ifndef COMMITS
#define COMMITS	2	/* of the first owner, after a ring full */
#endif
#define HEIRS	1	/* of the heir, at most */

#define WORDS	(1 + 2 * (1 + 2 * K))
#define WRITERS	2
#define DEPTH	5
#define REGS	3
#include "weak.pml"

#define FIRST	0
#define HEIR	1
#define ENGINE	1	/* its stores are done before the heir's begin */

/* two memories m: 0, and the one the group may move to, 1 */
#define BANK	0	/* the directory's bank epoch: which of them is valid */
#define PULSE(m)	(1 + (m) * (1 + 2 * K))
#define SEQ(m, v)	(PULSE(m) + 1 + 2 * ((v) % K))
#define DATA(m, v)	(PULSE(m) + 2 + 2 * ((v) % K))	/* payload and check in one */

/* The payload holds its version: it verifies under no other sequence. */
#define VERSION(epoch, seq)	((epoch) * 8 + (seq))
#define VERIFIES(seq, data, at)	((seq) != 0 && (seq) % K == at && (data) % 8 == (seq))

bool dead, granted, over;
byte first;		/* sequence that the heir begins with */
byte published;		/* newest version whose pulse has landed, where it counts */
byte accepted;		/* newest of the first owner's that the reader took */

inline commit(me, m, seq, data) {
	store(me, SEQ(m, seq), 0);
	fence_release(me);
	store(me, DATA(m, seq), data);
	store_release(me, SEQ(m, seq), seq);
	store_release(me, PULSE(m), seq)
}

proctype owner() {
	byte seq = K + 1;
	{
		do
		:: seq <= K + COMMITS -> commit(FIRST, 0, seq, VERSION(1, seq)); seq++
		:: else -> break
		od
	} unless { dead };
	seq = 0
}

proctype heir(byte m; byte seq) {
	byte left = HEIRS;
	do
	:: left > 0 -> commit(HEIR, m, seq, VERSION(2, seq)); seq++; left--
	:: break
	od;
	fence_seq_cst(HEIR);
	atomic {
		if
		:: left < HEIRS -> published = VERSION(2, seq - 1)
		:: else -> published = VERSION(1, seq - 1)
		fi;
		over = true; seq = 0; left = 0
	}
}

/* One slot of memory 0, which may be written meanwhile; the check decides. What
 * verifies is copied if the group moves; what does not is scrubbed if it stays. */
inline scan(at) {
	atomic { ask(0, SEQ(0, at)); ask(1, DATA(0, at)) };
	fence_acquire();
	if
	:: VERIFIES(got[0], got[1], at) ->
		newest = (got[0] > newest -> got[0] : newest);
		if
		:: to == 1 ->
			store(ENGINE, DATA(1, at), got[1]);
			store(ENGINE, SEQ(1, at), got[0])
		:: else
		fi
	:: !VERIFIES(got[0], got[1], at) && to == 0 ->
		store(ENGINE, SEQ(0, at), 0);
		store(ENGINE, DATA(0, at), 0)
	:: else
	fi;
	atomic { got[0] = 0; got[1] = 0 }
}

inline fence() {
	if
	:: to == 1 -> store(ENGINE, BANK, 1); fence_seq_cst(ENGINE)
	:: else
	fi
}

proctype engine() {
	LOADS;
	byte to, newest, pulse;
	if
	:: dead = true;			/* exit proved: its stores have landed */
		fence_seq_cst(FIRST)
#ifdef EXIT_UNPROVED
	:: to = 0
#else
	:: to = 1
#endif
	fi;
#ifndef COPY_BEFORE_FENCE
	fence();
#endif
	load_acquire(pulse, PULSE(0));
	do
	:: scan(0); scan(1);
#ifndef SINGLE_SCAN
		if
		:: newest >= pulse -> break
		:: else
		fi
#else
		break
#endif
	od;
#ifdef FLOOR_UNVERIFIED
	newest = (mem[SEQ(0, 0)] > mem[SEQ(0, 1)] -> mem[SEQ(0, 0)] : mem[SEQ(0, 1)]);
#endif
	fence_seq_cst(ENGINE);
	store(ENGINE, PULSE(to), newest);
	fence_seq_cst(ENGINE);
#ifdef COPY_BEFORE_FENCE
	fence();
#endif
	atomic {
		first = newest + 1;
		granted = true;
		/* what was seen is not forgotten */
		assert(accepted < VERSION(1, first));
		accepted = 0;
		run heir(to, first);
		newest = 0; pulse = 0; to = 0
	}
}

proctype reader() {
	LOADS;
	byte bank, p, last;
	bool quiet;
	do
	:: !quiet ->
		quiet = over;
		load_acquire(bank, BANK);
		load_acquire(p, PULSE(bank));
		ask(0, DATA(bank, p));
		fence_acquire();
		atomic { ask(1, SEQ(bank, p)); ask(2, BANK) };
		fence_acquire();
		atomic {
			if
#ifdef NO_RECHECK
			:: p > 0 && got[1] == p ->
#else
			:: p > 0 && got[1] == p && got[2] == bank ->
#endif
				/* whole, and of this sequence */
				assert(got[0] % 8 == p);
				assert(got[0] >= last);
				assert(!granted || got[0] / 8 == 2 || p < first);
				assert(!quiet || got[0] == published);
				last = got[0];
				accepted = (granted -> 0 : last)
			:: else -> assert(!quiet)
			fi;
			bank = 0; p = 0; got[0] = 0; got[1] = 0; got[2] = 0
		}
	:: else -> break
	od
}

init {
	atomic {
		mem[SEQ(0, 1)] = 1;
		mem[DATA(0, 1)] = VERSION(1, 1);
		mem[SEQ(0, 2)] = 2;
		mem[DATA(0, 2)] = VERSION(1, 2);
		mem[PULSE(0)] = 2;
		run drain(FIRST); run drain(HEIR);
		run owner(); run engine(); run reader()
	}
}
