/* weak.pml: weak memory for the other models, as ARMv8 has it: one memory that
 * all processes agree on, but each process's stores reach it, and each reader's
 * loads leave it, in another order than the program's.
 * Stores wait in a buffer and drain in any order, except: two stores to one word
 * keep theirs; a store-release drains after everything before it (what follows it
 * may overtake it); nothing passes a release fence.
 * Loads are asked for, then arrive in any order; an acquire fence waits for all.
 * With LAZY (one reader, which has no load_acquire in flight beside others) a load
 * arrives at the end of its READ, or just before a store changes its word: what else it
 * could see is the same, and there are far fewer states.
 * Define before inclusion: WORDS, WRITERS, DEPTH (entries a buffer holds), REGS
 * (loads in flight, at most 8; two of them ask for one word only to see it torn).
 */
#define FENCE 255			/* the "word" of a release fence */

typedef buffer {
	byte n;
	byte at[DEPTH];
	short value[DEPTH];
	bit release[DEPTH]
}

short mem[WORDS];
buffer sb[WRITERS];

/* ------------------------------------------------------------- stores */
/* spin replaces names: an argument that contains its parameter's never ends */
inline push(writer, where, what, rel) {
	atomic {
		sb[writer].n < DEPTH;
		sb[writer].at[sb[writer].n] = where;
		sb[writer].value[sb[writer].n] = what;
		sb[writer].release[sb[writer].n] = rel;
		sb[writer].n++
	}
}

#define store(writer, where, what)		push(writer, where, what, 0)
#define store_release(writer, where, what)	push(writer, where, what, 1)

/* before an empty buffer there is nothing to hold back */
inline fence_release(writer) {
	atomic {
		sb[writer].n < DEPTH;
		if
		:: sb[writer].n > 0 -> push(writer, FENCE, 0, 0)
		:: else
		fi
	}
}

#define fence_seq_cst(writer)	(sb[writer].n == 0)

/* takes entry i out and closes the gap; a fence that became first is done with */
inline take(writer, i) {
	do
	:: i + 1 < sb[writer].n ->
		sb[writer].at[i] = sb[writer].at[i + 1];
		sb[writer].value[i] = sb[writer].value[i + 1];
		sb[writer].release[i] = sb[writer].release[i + 1];
		i++
	:: else -> break
	od;
	sb[writer].at[i] = 0;
	sb[writer].value[i] = 0;
	sb[writer].release[i] = 0;
	sb[writer].n--;
	i = 0
}

/* -------------------------------------------------------------- loads */
#ifdef LAZY
byte want[REGS];
short got[REGS];
#define LOADS		skip
#else
#define LOADS		byte want[REGS]; short got[REGS]
#endif
#define ask(r, where)	want[r] = (where) + 1
#define arrival(r)	atomic { want[r] -> got[r] = mem[want[r] - 1]; want[r] = 0 }

#ifdef LAZY
#define now(r)		if :: want[r] -> got[r] = mem[want[r] - 1]; want[r] = 0 :: else fi

inline fence_acquire() {
	d_step {
		now(0);
#if REGS > 1
		now(1);
#endif
#if REGS > 2
		now(2);
#endif
#if REGS > 3
		now(3);
#endif
#if REGS > 4
		now(4);
#endif
#if REGS > 5
		now(5);
#endif
#if REGS > 6
		now(6);
#endif
#if REGS > 7
		now(7);
#endif
		skip
	}
}

inline maybe(r, where) {
	if
	:: want[r] == (where) + 1 ->
		if
		:: got[r] = mem[where]; want[r] = 0
		:: true
		fi
	:: else
	fi
}

inline before_landing(where) {
	maybe(0, where);
#if REGS > 1
	maybe(1, where);
#endif
#if REGS > 2
	maybe(2, where);
#endif
#if REGS > 3
	maybe(3, where);
#endif
#if REGS > 4
	maybe(4, where);
#endif
#if REGS > 5
	maybe(5, where);
#endif
#if REGS > 6
	maybe(6, where);
#endif
#if REGS > 7
	maybe(7, where);
#endif
	skip
}
#else
#define before_landing(where)	skip

/* the acquire fence: every load asked for has arrived */
inline fence_acquire() {
	do
	:: arrival(0)
#if REGS > 1
	:: arrival(1)
#endif
#if REGS > 2
	:: arrival(2)
#endif
#if REGS > 3
	:: arrival(3)
#endif
#if REGS > 4
	:: arrival(4)
#endif
#if REGS > 5
	:: arrival(5)
#endif
#if REGS > 6
	:: arrival(6)
#endif
#if REGS > 7
	:: arrival(7)
#endif
	:: else -> break
	od
}
#endif

/* loads asked for later cannot arrive before this one, which arrives at once */
#define load_acquire(into, where)	into = mem[where]

/* ------------------------------------------------------------- memory */
/* The memory system: drains one buffer. An entry that may not go yet stays. */
proctype drain(byte me) {
	byte i, j;
end:	do
	:: atomic {
		sb[me].n > 0 ->
		do
		:: break
		:: i + 1 < sb[me].n && sb[me].at[i + 1] != FENCE -> i++
		od;
		skip;
		d_step {
			do
			:: j < i && sb[me].at[j] != sb[me].at[i] && !sb[me].release[i] -> j++
			:: else -> break
			od;
			skip
		};
		if
		:: j < i -> i = 0
		:: else ->
			before_landing(sb[me].at[i]);
			d_step {
				mem[sb[me].at[i]] = sb[me].value[i];
				take(me, i);
				if
				:: sb[me].n > 0 && sb[me].at[0] == FENCE -> take(me, i)
				:: else
				fi;
				skip
			}
		fi;
		j = 0
	}
	od
}
