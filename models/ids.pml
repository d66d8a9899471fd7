/* The life of an id: leased to a node, an object made and later registered, looked up, destroyed, in quarantine, used again.
 * A stale reference gives no_such_object and never another object, and one id never names two objects that live.
 *
 * One id, three backends that take leases of it, make objects and refer to them; the front end has the directory.
 * Objects are told apart by a generation, which the protocol does not know. That each call and lookup under way ends, and
 * each reference is dropped, within the grace period is the protocol's contract with its users, and assumed.
 * Bugs: NO_GRACE, NO_ACKNOWLEDGEMENT, GONE_IS_SURE, NO_TOMBSTONE, LEASE_BACK_AT_ONCE, LATE_REGISTRATION,
 * DESCRIBED_IS_NOT_ENTERED. */

#define NODES       4     /* with the front end, 0, whose part as a user is no other than theirs */
#define GENERATIONS 3     /* objects made with the id */

mtype = { free, leased, live, ending, quarantine };   /* the id, in the directory */
mtype = { none, asked, describing, answered };        /* a node's lookup */

mtype state = free;
byte holder;                  /* of the lease */
byte recorded;                /* the generation that the directory's record means */
bool member[NODES] = true;
bool sure[NODES];             /* gone, and surely ended */
bool ended[NODES];            /* this node has acknowledged the end */

byte newest;                  /* in truth: objects made so far */
byte removed;                 /* in truth: the newest object that the directory was told to forget */
byte destroyed;               /* in truth: the newest object whose destroy has been reported as done */

bool owns[NODES];             /* a lease that no object was made with yet */
byte entry[NODES];            /* the object that the node's table has under the id */
bool tombstone[NODES];        /* the table remembers the object's end */
byte registering[NODES];      /* a registration on its way */
mtype lookup[NODES] = none;
byte found[NODES];            /* what the lookup's answer says; 0: no such object */
byte reference[NODES];        /* the object that a reference of the node's program was made for */

#define acts(n) (!sure[n])

inline make() {
  owns[n] = false; newest++;
  entry[n] = newest; reference[n] = newest; registering[n] = newest;
  tombstone[n] = false
}

inline dispose(n) {
  owns[n] = false; entry[n] = 0; tombstone[n] = false; registering[n] = 0; lookup[n] = none; found[n] = 0; reference[n] = 0
}

proctype node(byte n) {
  byte other;
  do
  :: atomic { acts(n) && owns[n] && newest < GENERATIONS -> make() }
  :: atomic { acts(n) && reference[n] != 0 && entry[n] == 0 && !tombstone[n] && lookup[n] == none && member[n] ->
       lookup[n] = asked }
  :: atomic { lookup[n] == answered ->
       if
       :: found[n] != 0 && !tombstone[n] && entry[n] == 0 -> entry[n] = found[n]
       :: else
       fi;
       lookup[n] = none; found[n] = 0 }
  :: atomic { acts(n) && entry[n] != 0 ->              /* a call */
       assert(entry[n] == newest);                     /* no other object has the id */
       assert(entry[n] > destroyed);
       assert(reference[n] == 0 || reference[n] == entry[n]) }
  :: atomic {                                          /* references travel */
       select(other : 1 .. NODES - 1);
       if
       :: acts(n) && acts(other) && reference[n] == 0 -> reference[n] = reference[other]
       :: else
       fi;
       other = 0 }
  :: atomic { state == ending && acts(n) && !ended[n] ->  /* the end reaches the node */
       entry[n] = 0; ended[n] = true;
#ifndef NO_TOMBSTONE
       tombstone[n] = true
#endif
     }
  :: atomic { member[n] -> member[n] = false }
  :: atomic { !member[n] && !sure[n] -> sure[n] = true; dispose(n) }
  od
}

inline begin_end() {
  state = ending; ended[1] = false; ended[2] = false; ended[3] = false; removed = newest
}

#if defined(NO_ACKNOWLEDGEMENT)
#define has_ended(n) true
#elif defined(GONE_IS_SURE)
#define has_ended(n) (ended[n] || !member[n])
#else
#define has_ended(n) (ended[n] || sure[n])
#endif
/* Calls and lookups of the time before the end have come to theirs, references to what has ended have been dropped. */
#ifdef NO_GRACE
#define grace_over(n) true
#else
#define grace_over(n) (lookup[n] == none && registering[n] == 0)
#endif

proctype directory() {
  byte n;
  do
  :: atomic {
       select(n : 1 .. NODES - 1);
       if
       :: state == free && member[n] -> state = leased; holder = n; owns[n] = true; recorded = 0
       :: registering[n] != 0 ->
            if
#ifdef LATE_REGISTRATION
            :: member[n] -> state = live; recorded = registering[n]
#else
            :: member[n] && state == leased && holder == n -> state = live; recorded = registering[n]
#endif
            :: else
            fi;
            registering[n] = 0
       :: lookup[n] == asked ->
            if
            :: state == live -> assert(recorded > removed); found[n] = recorded; lookup[n] = answered
            :: state == leased && member[holder] && holder != n -> lookup[n] = describing
            :: else -> lookup[n] = answered
            fi
       :: lookup[n] == describing ->                     /* the leaseholder is asked, or its connection ends */
            if
#ifdef DESCRIBED_IS_NOT_ENTERED
            :: acts(holder) -> found[n] = entry[holder]
#else
            :: acts(holder) && state == leased && member[holder] && entry[holder] != 0 -> state = live; recorded = entry[holder]
#endif
            :: true
            fi;
            if
            :: state == live -> found[n] = recorded
            :: else
            fi;
            lookup[n] = answered
       :: reference[n] != 0 && reference[n] > destroyed && member[n] && (state == live || state == leased) ->
            begin_end()                                  /* the node destroys the object */
       :: else
       fi;
       n = 0 }
  :: atomic { state == leased && sure[holder] ->         /* what it made and did not register nobody could look up */
#ifdef LEASE_BACK_AT_ONCE
       state = free
#else
       state = quarantine; removed = newest; destroyed = newest
#endif
     }
  :: atomic { state == ending && has_ended(1) && has_ended(2) && has_ended(3) -> state = quarantine; destroyed = newest }
  :: atomic { state == quarantine && grace_over(1) && grace_over(2) && grace_over(3) ->
       state = free;
#ifndef NO_GRACE
       reference[1] = 0; reference[2] = 0; reference[3] = 0;
#endif
       tombstone[1] = false; tombstone[2] = false; tombstone[3] = false }
  od
}

init { atomic { run node(1); run node(2); run node(3); run directory() } }
