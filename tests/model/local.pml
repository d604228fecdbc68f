/* local.pml: an owner and a reader that share the mapping of one group: K slots
 * of a sequence and two payload words, and the pulse. The reader enters by the
 * pulse ("== pulse") or, as cursors do, by a slot (seq first, with acquire).
 * Shown: what is accepted is wholly of one commit, the one it was taken for, and
 * reads by the pulse never run backwards.
 * Controls: NO_INVALIDATE NO_INVALIDATE_FENCE INVALIDATE_RELEASE SEQ_RELAXED
 * PULSE_RELAXED NO_ACQUIRE_FENCE NO_REREAD SEQ_UNCHANGED (first load relaxed)
 * SEQ_UNCHANGED_ACQUIRE (whole, but backwards) SLOT_ENTRY_RELAXED
 */
#define K	2
#define COMMITS	5
#define READS	2

#define WORDS	(1 + 3 * K)
#define WRITERS	1
#define DEPTH	7
#define REGS	3
#include "weak.pml"

#define OWNER	0
#define PULSE	0
#define SEQ(v)	(1 + 3 * ((v) % K))
#define W0(v)	(2 + 3 * ((v) % K))
#define W1(v)	(3 + 3 * ((v) % K))

/* every payload word of commit v is v */
proctype owner() {
	byte v = 1;
	do
	:: v <= COMMITS ->
#if defined(NO_INVALIDATE)
#elif defined(NO_INVALIDATE_FENCE)
		store(OWNER, SEQ(v), 0);
#elif defined(INVALIDATE_RELEASE)
		store_release(OWNER, SEQ(v), 0);
#else
		store(OWNER, SEQ(v), 0);
		fence_release(OWNER);
#endif
		store(OWNER, W0(v), v);
		store(OWNER, W1(v), v);
#ifdef SEQ_RELAXED
		store(OWNER, SEQ(v), v);
#else
		store_release(OWNER, SEQ(v), v);
#endif
#ifdef PULSE_RELAXED
		store(OWNER, PULSE, v);
#else
		store_release(OWNER, PULSE, v);
#endif
		v++
	:: else -> break
	od
}

/* Copies slot v; ok: its sequence, loaded after the copy, is that of `version`. */
inline copy(v) {
	d_step { ask(0, W0(v)); ask(1, W1(v)) };
#ifndef NO_ACQUIRE_FENCE
	fence_acquire();
#endif
#ifdef NO_REREAD
	ok = true
#else
	ask(2, SEQ(v));
	fence_acquire();
	ok = (got[2] == version)
#endif
}

inline forget() {
	d_step { got[0] = 0; got[1] = 0; got[2] = 0; version = 0; p = 0; ok = 0 }
}

inline enter_by_pulse() {
	load_acquire(p, PULSE);
	version = p;
#ifdef SEQ_UNCHANGED
	/* nothing orders the first load of seq before the copy */
	d_step { ask(0, W0(p)); ask(1, W1(p)); ask(2, SEQ(p)) };
	fence_acquire();
	version = got[2];
	ask(2, SEQ(p));
	fence_acquire();
	ok = (version != 0 && got[2] == version);
#else
#ifdef SEQ_UNCHANGED_ACQUIRE
	load_acquire(version, SEQ(p));
#endif
	copy(p);
#endif
	if
	:: ok && version ->
		assert(got[0] == version && got[1] == version);
		assert(version >= last);	/* never backwards */
		last = version;
		reads++
	:: else
	fi
}

inline enter_by_slot() {
	if
	:: p = 0
	:: p = 1
	fi;
#ifdef SLOT_ENTRY_RELAXED
	d_step { ask(0, W0(p)); ask(1, W1(p)); ask(2, SEQ(p)) };
	fence_acquire();
	version = got[2];
	ask(2, SEQ(p));
	fence_acquire();
	ok = (got[2] == version);
#else
	load_acquire(version, SEQ(p));
	copy(p);
#endif
	if
	:: ok && version ->
		assert(got[0] == version && got[1] == version)
	:: else
	fi
}

proctype reader() {
	LOADS;
	byte p, version, last, reads;
	bool ok;
	do
	:: reads < READS ->
		if
		:: enter_by_pulse()
		:: enter_by_slot()
		fi;
		forget()
	:: else -> break
	od
}

init {
	atomic { run drain(OWNER); run owner(); run reader() }
}
