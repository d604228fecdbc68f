/* notify.pml: waking the readers of a bank that a remote owner writes. The words of
 * a slot and the pulse land in any order. The owner's own thread marks a notification
 * as owed when the WRITEs are completed; its slow path sends it on the second QP, with
 * the one credit, coalesced, again if commits happened meanwhile. The engine verifies,
 * bumps the notify word, wakes if one is counted, gives the credit back. The owner may
 * be cut off at any moment; the engine's takeover then bumps and wakes by itself.
 * The reader sleeps on the notify word and looks at slots only.
 * Shown: no lost wake-up, as in waiter.pml.
 * Controls: NOTIFY_EARLY (before the completion) NOTIFY_DROPPED (no credit: not sent
 * later) OWED_LATE (cleared after the sending) CREDIT_LOST (no news: not given back)
 * TAKEOVER_SILENT (commits not notified before the cut) NO_FENCE (between bump and
 * count) REREAD_WORD SLEEP_ON_PULSE (a NIC's word)
 */
#define COMMITS	3

#define WORDS	5
#define WRITERS	2
#define DEPTH	4
#define REGS	2
#include "weak.pml"

#define OWNER	0		/* its NIC, writing into the engine's memory */
#define ENGINE	1
#define PULSE	0
#define SEQ	1		/* one slot shows enough: nobody needs an older one */
#define CHECK	2
#define NOTIFY	3
#define WAITERS	4

#ifdef SLEEP_ON_PULSE
#define WORD	PULSE
#else
#define WORD	NOTIFY
#endif

bit credit = 1;			/* the engine has a RECV for the owner's message */
bit message;			/* in flight */
bool owed;
bool cut, fenced, taken;	/* the owner is gone; no byte of it comes; taken over */
byte last_one = COMMITS;	/* newest commit that will ever be whole */
bool asleep;

inline owe() {
#ifdef NOTIFY_DROPPED
	owed = credit
#else
	owed = true
#endif
}

proctype owner() {
	byte v = 1, i;
	{
		do
		:: v <= COMMITS ->
			store(OWNER, SEQ, v);
			store(OWNER, CHECK, v);
			store(OWNER, PULSE, v);
#ifdef NOTIFY_EARLY
			owe();
			fence_seq_cst(OWNER);
#else
			fence_seq_cst(OWNER);	/* completion */
			owe();
#endif
			v++
		:: else -> break
		od;
end_owner:	cut
	} unless { cut };
	atomic {
		do
		:: sb[OWNER].n > 0 -> take(OWNER, i)
		:: else -> break
		od;
		last_one = (mem[SEQ] == mem[CHECK] -> mem[SEQ] : 0);
		owed = false;
		v = 0;
		fenced = true
	}
}

/* Of the owner: the slow path's thread. */
proctype slow_path() {
end:	do
	:: atomic {
			owed && credit && !cut ->
#ifndef OWED_LATE
			owed = false
#endif
		};
		atomic { credit = 0; message = 1 };
#ifdef OWED_LATE
		owed = false
#endif
	od
}

proctype cutter() {
	if
	:: cut = true
	:: true
	fi
}

inline wake() {
	if
	:: mem[WAITERS] > 0 -> asleep = false
	:: else
	fi
}

/* A message without a newer verified slot is not news and bumps nothing. */
proctype engine() {
	LOADS;
	byte known, bumps;
end:	do
	:: atomic { fenced && !taken -> bumps++ };
		/* scrubbed; what was committed last may not have been notified */
#ifndef TAKEOVER_SILENT
		store_release(ENGINE, NOTIFY, bumps);
		fence_seq_cst(ENGINE);
		wake();
#endif
		taken = true
	:: atomic { message -> message = 0 };
		d_step { ask(0, SEQ); ask(1, CHECK) };
		fence_acquire();
		if
		:: got[0] == got[1] && got[0] > known ->
			atomic { known = got[0]; bumps++; got[0] = 0; got[1] = 0 };
			store_release(ENGINE, NOTIFY, bumps);
#ifndef NO_FENCE
			fence_seq_cst(ENGINE);
#endif
			wake();
			credit = 1	/* a RECV is posted again at any time after the look */
		:: else ->
#ifndef CREDIT_LOST
			credit = 1;
#endif
			atomic { got[0] = 0; got[1] = 0 }
		fi
	od
}

proctype waiter() {
	LOADS;
	byte last, word;
	do
	:: last < COMMITS ->
		mem[WAITERS] = 1;
		do
		:: load_acquire(word, WORD);
			d_step { ask(0, SEQ); ask(1, CHECK) };
			fence_acquire();
			if
			:: got[0] == got[1] && got[0] > last -> break
			:: else
			fi;
			atomic { got[0] = 0; got[1] = 0 };
#ifdef REREAD_WORD
			load_acquire(word, WORD);
#endif
			asleep = (mem[WORD] == word);	/* FUTEX_WAIT */
			if
			:: !asleep
			:: taken && last >= last_one -> goto done
			fi
		od;
		atomic { last = got[0]; got[0] = 0; got[1] = 0; word = 0 };
		mem[WAITERS] = 0
	:: else -> break
	od;
done:	skip
}

init {
	atomic { run drain(OWNER); run drain(ENGINE); run owner(); run slow_path(); run cutter();
		run engine(); run waiter() }
}
