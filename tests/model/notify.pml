/* notify.pml: waking the readers of a bank that a remote owner writes. The words of
 * a slot and the pulse land in any order; the notification travels on a second QP,
 * sent on completion and with a credit, coalesced, sent later if commits happened
 * meanwhile. On it the engine verifies, bumps the notify word, wakes if one is
 * counted. The reader sleeps on the notify word and looks at slots only.
 * Shown: no lost wake-up, as in waiter.pml.
 * Controls: NOTIFY_EARLY (before the completion) NOTIFY_DROPPED (no credit: not sent
 * later) NO_FENCE (between bump and count) REREAD_WORD SLEEP_ON_PULSE (a NIC's word)
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
bool asleep;

inline send() {
	atomic { credit -> credit = 0; message = 1; owed = false }
}

proctype owner() {
	byte v = 1;
	bool owed;
	do
	:: v <= COMMITS ->
		store(OWNER, SEQ, v);
		store(OWNER, CHECK, v);
		store(OWNER, PULSE, v);
#ifndef NOTIFY_EARLY
		fence_seq_cst(OWNER);	/* completion */
#endif
		owed = true;
		if
		:: credit -> send()
		:: !credit
		fi;
#ifdef NOTIFY_EARLY
		fence_seq_cst(OWNER);
#endif
		v++
	:: else -> break
	od;
	if
#ifndef NOTIFY_DROPPED
	:: owed -> send()
#endif
	:: else
	fi
}

/* A message without a newer verified slot is not news and bumps nothing. */
proctype engine() {
	LOADS;
	byte known, bumps;
end:	do
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
			if
			:: mem[WAITERS] > 0 -> asleep = false
			:: else
			fi
		:: else -> atomic { got[0] = 0; got[1] = 0 }
		fi;
		credit = 1	/* a RECV is posted again at any time after the look */
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
			!asleep
		od;
		atomic { last = got[0]; got[0] = 0; got[1] = 0; word = 0 };
		mem[WAITERS] = 0
	:: else -> break
	od
}

init {
	atomic { run drain(OWNER); run drain(ENGINE); run owner(); run engine(); run waiter() }
}
