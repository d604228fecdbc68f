/* weak.pml: weak memory for the other models, as ARMv8 has it: one memory that
 * all processes agree on, but each process's stores reach it, and each reader's
 * loads leave it, in another order than the program's.
 * Stores wait in a buffer and drain in any order, except: two stores to one word
 * keep theirs; a store-release drains after everything before it (what follows it
 * may overtake it); nothing passes a release fence.
 * Loads are asked for, then arrive in any order; an acquire fence waits for all.
 * Define before inclusion: WORDS, WRITERS, DEPTH (entries a buffer holds), REGS
 * (loads in flight, at most 5; two of them never ask for one word).
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
		d_step {
			do
			:: j < i && sb[me].at[j] != sb[me].at[i] && !sb[me].release[i] -> j++
			:: else -> break
			od;
			if
			:: j < i -> i = 0
			:: else ->
				mem[sb[me].at[i]] = sb[me].value[i];
				take(me, i);
				if
				:: sb[me].n > 0 && sb[me].at[0] == FENCE -> take(me, i)
				:: else
				fi
			fi;
			j = 0
		}
	}
	od
}

/* -------------------------------------------------------------- loads */
#define LOADS		byte want[REGS]; short got[REGS]
#define ask(r, where)	want[r] = (where) + 1
#define arrival(r)	atomic { want[r] -> got[r] = mem[want[r] - 1]; want[r] = 0 }

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
	:: else -> break
	od
}

/* loads asked for later cannot arrive before this one, which arrives at once */
#define load_acquire(into, where)	into = mem[where]
