/* request.pml: adds by request, exactly once. A client numbers three, two of them in
 * flight: 1 and 3 the engine applies itself, 2 it forwards to an owner. Connections
 * break and are resumed with a resend, the engine forgets a client that stays away,
 * crashes and restarts from its state file, the owner may die with 2 in hand.
 * Shown: nothing is executed twice in the state that survives; "ok" means executed,
 * until a crash loses it with the save; all are answered, without need never "unknown".
 * Controls: NO_NUMBERS TABLE_RENAMED_FIRST NUMBERS_RENAMED_FIRST UNKNOWN_EXECUTED
 * IN_FLIGHT_AGAIN (forwarded, resent: forwarded again) IN_FLIGHT_UNSAVED
 * FORWARDED_AFTER_RESTART UNORDERED (the transport may overtake)
 */
#define LAST	3		/* requests */
#define WINDOW	2
#define CRASHES	2
#define BREAKS	1
#define SAVES	2

#define bit_of(n)	(1 << (n))
#define forwarded(n)	((n) == 2)

mtype = { ok, unknown }

chan up = [WINDOW] of { byte, byte };	/* number, generation it was first sent in */
chan down = [2 * LAST] of { byte, mtype };
chan forward = [1] of { byte };
chan answer = [1] of { byte, mtype };

/* What the engine holds, and what its file holds of it. */
typedef state {
	bool id;		/* the client's id is known */
	byte last;		/* its last request number */
	byte flying;		/* set: forwarded, no answer yet */
	byte doubt;		/* set: outcome unknown */
	byte done[LAST + 1]	/* the table: how often each was executed */
}
state live, file;

byte generation = 1;
bool connected = true;
bool trouble;			/* a crash, or a client forgotten, or the owner dead */
byte owners_done;		/* the owner's table survives the engine */

inline drop_connection() {
	connected = false;
	do
	:: nempty(up) -> up?_, _
	:: nempty(down) -> down?_, _
	:: empty(up) && empty(down) -> break
	od
}

/* ------------------------------------------------------------- client */
inline settle() {
	down?n, verdict;
	if
	:: verdict == ok ->
		assert((forwarded(n) -> owners_done : live.done[n]) == 1)
	:: else -> assert(trouble)
	fi;
	settled = settled | bit_of(n);
	n = 0; verdict = 0
}

#define DUE(n)	(!((settled | sent) & bit_of(n)))
#define OPEN(n)	((n) < WINDOW + 1 || settled & bit_of((n) - WINDOW))
#ifdef UNORDERED
#define TURN(n)	(DUE(n) && OPEN(n))
#else
#define TURN(n)	(DUE(n) && OPEN(n) && ((n) == 1 || !DUE(1)) && ((n) < 3 || !DUE(2)))
#endif

inline send(n) {
	first[n] = (first[n] -> first[n] : generation);
	sent = sent | bit_of(n);
	up!n, first[n]
}

proctype client() {
	byte settled, sent, breaks, n;
	byte first[LAST + 1];
	mtype verdict;
	do
	:: settled == 14 -> break
	:: atomic { connected && TURN(1) -> send(1) }
	:: atomic { connected && TURN(2) -> send(2) }
	:: atomic { connected && TURN(3) -> send(3) }
	:: atomic { nempty(down) -> settle() }
	:: atomic { connected && breaks < BREAKS -> breaks++; drop_connection() }
	:: atomic { !connected -> connected = true; sent = 0 }	/* resume, send again */
	od
}

/* ------------------------------------------------------------- engine */
inline execute() {
	live.done[n]++;
	assert(live.done[n] == 1);
	down!n, ok
}

inline handle() {
	up?n, g;
	if
#ifdef UNKNOWN_EXECUTED
	:: !live.id -> live.id = true
#else
	:: !live.id -> down!n, unknown; goto handled
#endif
	:: else
	fi;
	if
#ifndef NO_NUMBERS
	:: n <= live.last && live.doubt & bit_of(n) -> down!n, unknown
#ifdef IN_FLIGHT_AGAIN
	:: n <= live.last && live.flying & bit_of(n) -> forward!n
#else
	:: n <= live.last && live.flying & bit_of(n)	/* its answer will be the client's */
#endif
	:: n <= live.last && !((live.doubt | live.flying) & bit_of(n)) -> down!n, ok
	:: n > live.last ->
#else
	:: true ->
#endif
		live.last = n;
		if
		:: !forwarded(n) -> execute()
#ifndef FORWARDED_AFTER_RESTART
		:: forwarded(n) && g < generation ->	/* perhaps forwarded already */
			live.doubt = live.doubt | bit_of(n);
			down!n, unknown
		:: forwarded(n) && g == generation ->
#else
		:: forwarded(n) ->
#endif
			live.flying = live.flying | bit_of(n);
			forward!n
		fi
	fi;
handled: n = 0; g = 0
}

inline answered() {
	answer?n, verdict;
	live.flying = live.flying & ~bit_of(n);
	if
	:: verdict == unknown -> live.doubt = live.doubt | bit_of(n)
	:: else
	fi;
	if
	:: connected && live.id -> down!n, verdict
	:: else		/* the client asks again */
	fi;
	n = 0; verdict = 0
}

inline save_table() {
	file.done[1] = live.done[1];
	file.done[3] = live.done[3]
}

inline save_numbers() {
	file.id = live.id;
	file.last = live.last;
	file.flying = live.flying;
	file.doubt = live.doubt
}

inline restart() {
	trouble = true;
	generation++;
	drop_connection();
	if
	:: nempty(answer) -> answer?_, _
	:: empty(answer)
	fi;
	if
	:: nempty(forward) -> forward?_		/* lost with the engine, */
	:: true					/* or under way to the owner */
	fi;
	half = false;
	live.done[1] = file.done[1];
	live.done[3] = file.done[3];
	live.id = file.id;
	live.last = file.last;
#ifdef IN_FLIGHT_UNSAVED
	live.doubt = file.doubt;
#else
	live.doubt = file.doubt | file.flying;
#endif
	live.flying = 0
}

/* The lease of a client that is away has expired. */
inline forget() {
	trouble = true;
	live.id = false;
	live.last = 0;
	live.flying = 0;
	live.doubt = 0
}

proctype engine() {
	byte n, g, saves, crashes;
	bool half;
	mtype verdict;
end:	do
	:: atomic { nempty(up) -> handle() }
	:: atomic { nempty(answer) -> answered() }
#if defined(TABLE_RENAMED_FIRST)
	:: atomic { saves < SAVES && !half -> saves++; save_table(); half = true }
	:: atomic { half -> save_numbers(); half = false }
#elif defined(NUMBERS_RENAMED_FIRST)
	:: atomic { saves < SAVES && !half -> saves++; save_numbers(); half = true }
	:: atomic { half -> save_table(); half = false }
#else
	:: atomic { saves < SAVES -> saves++; save_table(); save_numbers() }
#endif
	:: atomic { crashes < CRASHES -> crashes++; restart() }
	:: atomic { !connected && live.id -> forget() }
	od
}

proctype owner() {
	byte n;
end:	do
	:: atomic { forward?n -> owners_done++; assert(owners_done == 1); n = 0 };
		answer!2, ok
	:: atomic { forward?n -> trouble = true; n = 0 };
		answer!2, unknown
	od
}

init {
	atomic { live.id = true; run client(); run engine(); run owner() }
}
