/* The life of an id: leased to a node, or given to an object with a home; an object made and (under a lease) later registered,
 * looked up, destroyed, in quarantine, used again. A stale reference gives no_such_object and never another object, and one id
 * never names two objects that live.
 *
 * One id, three backends, the third of which has joined last; the front end has the directory. Objects are told apart by a
 * generation, which the protocol does not know. Time passes in ticks of about three minutes. What began before a tick has ended
 * before the next but one; the leases of nodes that were declared gone take seconds, and have ended before the next. A node
 * remembers an object's end for FORGET ticks, and the directory lets an id rest for GRACE. Objects under leased ids are per_core
 * or per_node: such a one may go on answering a node that was declared gone. Those with a home are exclusive: nobody answers for
 * them without a lease. That programs drop their stale references within the grace is the protocol's contract with its users,
 * and assumed.
 * Bugs: NO_GRACE, NO_ACKNOWLEDGEMENT, GONE_IS_SURE, ASK_KNOWN, NO_TOMBSTONE, FORGET_SOON, FORGET_LATE,
 * LEASE_BACK_AT_ONCE, LATE_REGISTRATION, DESCRIBED_IS_NOT_ENTERED. */

#define NODES       4     /* with the front end, 0, whose part as a user is no other than theirs */
#define GENERATIONS 2     /* objects made with the id */

#if defined(NO_TOMBSTONE)
#define FORGET 0
#elif defined(FORGET_SOON)
#define FORGET 1
#elif defined(FORGET_LATE)
#define FORGET 4
#else
#define FORGET 2          /* NodeTable::kForgetAfter, 6 min */
#endif
#ifdef NO_GRACE
#define GRACE  0
#else
#define GRACE  3          /* Directory::kIdGrace, 10 min */
#endif

mtype = { free, leased, live, ending, quarantine, used_up };   /* the id, in the directory */
mtype = { none, asked, describing, answered };                 /* a node's lookup */

mtype state = free;
byte holder;                  /* of the lease */
byte recorded;                /* the generation that the directory's record means */
byte grace;                   /* ticks that are left of it */
bool member[NODES] = true;
bool sure[NODES];             /* gone, and without a lease; what it then does by itself is not followed */

bool old_view;                /* the list of members of the node that destroys is not, or no more, the front end's */
bool told[NODES];             /* is asked to end the object */
bool ended[NODES];            /* has acknowledged that */

byte newest;                  /* in truth: objects made so far */
bool exclusive[GENERATIONS + 1];
byte removed;                 /* in truth: the newest object that the directory was told to forget */
byte destroyed;               /* in truth: the newest object whose destroy has been reported as done */

bool owns[NODES];             /* a lease that no object was made with yet */
byte entry[NODES];            /* the object that the node's table has under the id */
byte tombstone[NODES];        /* ticks for which the table still remembers the object's end */
byte registering[NODES];      /* a registration on its way */
mtype lookup[NODES] = none;
byte found[NODES];            /* what the lookup's answer says; 0: no such object */
bool asks_long[NODES];        /* the lookup, or registration, began before the last tick */
byte reference[NODES];        /* the object that a reference of the node's program was made for */

#define acts(n) (!sure[n])
#define waits(n) (lookup[n] != none || registering[n] != 0)

/* An end that is remembered hides nothing that is made after it. */
inline enter_new(n) {
  newest++;
  assert(tombstone[n] == 0);
  tombstone[n] = 0;
  entry[n] = newest; reference[n] = newest
}

inline dispose(n) {
  owns[n] = false; entry[n] = 0; tombstone[n] = 0; registering[n] = 0; lookup[n] = none; found[n] = 0; reference[n] = 0;
  asks_long[n] = false
}

proctype node(byte n) {
  byte other;
  do
  :: atomic { acts(n) && owns[n] && newest < GENERATIONS ->
       owns[n] = false; enter_new(n); registering[n] = newest }
  :: atomic { acts(n) && reference[n] != 0 && entry[n] == 0 && tombstone[n] == 0 && lookup[n] == none && member[n] ->
       lookup[n] = asked }
  :: atomic { acts(n) && reference[n] != 0 && entry[n] == 0 && tombstone[n] != 0 ->   /* no such object */
       assert(reference[n] <= removed) }
  :: atomic { lookup[n] == answered ->
       if
       :: found[n] != 0 && tombstone[n] == 0 && entry[n] == 0 -> entry[n] = found[n]
       :: else
       fi;
       lookup[n] = none; found[n] = 0; asks_long[n] = false }
  :: atomic { acts(n) && entry[n] != 0 ->              /* a call */
       assert(entry[n] == newest);                     /* no other object has the id */
       /* What was destroyed answers no member, and what is exclusive nobody. */
       assert(entry[n] > destroyed || (!member[n] && !exclusive[entry[n]]));
       assert(reference[n] == 0 || reference[n] == entry[n]) }
  :: atomic {                                          /* references travel */
       select(other : 1 .. NODES - 1);
       if
       :: acts(n) && acts(other) && reference[n] == 0 -> reference[n] = reference[other]
       :: else
       fi;
       other = 0 }
  :: atomic { state == ending && acts(n) && told[n] && !ended[n] ->  /* the end reaches the node */
       entry[n] = 0; ended[n] = true;
       if
       :: tombstone[n] == 0 -> tombstone[n] = FORGET
       :: else
       fi }
  :: atomic { member[n] -> member[n] = false; old_view = (state == ending) }
  :: atomic { !member[n] && !sure[n] -> sure[n] = true; dispose(n) }
  od
}

#ifdef ASK_KNOWN
#define is_told(n) (member[n] && (n != 3 || !old_view))
#else
#define is_told(n) (member[n])
#endif

/* The front end says who is to be asked. */
inline begin_end() {
  state = ending; removed = newest; recorded = 0; holder = 0;
  if
  :: true -> old_view = false
  :: true -> old_view = true
  fi;
  told[1] = is_told(1); told[2] = is_told(2); told[3] = is_told(3);
  ended[1] = false; ended[2] = false; ended[3] = false
}

/* A node that was told has answered, or is lost and its lease over; of those that were gone before that is waited for with an
   exclusive object. */
#if defined(NO_ACKNOWLEDGEMENT)
#define has_ended(n) true
#elif defined(GONE_IS_SURE)
#define has_ended(n) (ended[n] || !member[n])
#else
#define has_ended(n) (ended[n] || sure[n] || (!told[n] && (member[n] || !exclusive[removed])))
#endif

inline rest() { state = quarantine; grace = GRACE }

/* As long as nothing was made the nodes 1 and 2 are alike: then 2 has its turn only where 1 is gone. */
#define may_begin(n) (member[n] && (n != 2 || newest != 0 || !member[1]))

proctype directory() {
  byte n;
  do
  :: atomic {
       select(n : 1 .. NODES - 1);
       if
       :: state == free && may_begin(n) -> state = leased; holder = n; owns[n] = true
       :: state == free && may_begin(n) && newest < GENERATIONS ->     /* an object with a home is created */
            enter_new(n); exclusive[newest] = true; state = live; recorded = newest
       :: registering[n] != 0 ->
            if
#ifdef LATE_REGISTRATION
            :: member[n] -> state = live; holder = 0; recorded = registering[n]
#else
            :: member[n] && state == leased && holder == n -> state = live; holder = 0; recorded = registering[n]
#endif
            :: else
            fi;
            registering[n] = 0; asks_long[n] = false
       :: lookup[n] == asked ->
            if
            :: state == live ->
                 assert(recorded > removed && recorded == reference[n]);   /* who asks for what has ended hears that */
                 found[n] = recorded; lookup[n] = answered
            :: state == leased && member[holder] && holder != n -> lookup[n] = describing
            :: else -> lookup[n] = answered
            fi
       :: lookup[n] == describing ->                     /* the leaseholder is asked, or its connection ends */
            if
#ifdef DESCRIBED_IS_NOT_ENTERED
            :: state == leased && acts(holder) -> found[n] = entry[holder]
#else
            :: state == leased && member[holder] && entry[holder] != 0 -> state = live; recorded = entry[holder]; holder = 0
#endif
            :: true
            fi;
            if
            :: state == live -> found[n] = recorded
            :: else
            fi;
            lookup[n] = answered
       :: reference[n] != 0 && reference[n] > removed && member[n] && (state == live || (state == leased && member[holder])) ->
            begin_end()                                  /* the node destroys the object */
       :: else
       fi;
       n = 0 }
  :: atomic { state == leased && sure[holder] ->         /* what it made and did not register nobody could look up */
       removed = newest; destroyed = newest; holder = 0;
#ifdef LEASE_BACK_AT_ONCE
       state = free
#else
       rest()
#endif
     }
  :: atomic { state == ending && has_ended(1) && has_ended(2) && has_ended(3) ->
       destroyed = removed;
       if
       :: !old_view -> rest()
       :: else -> state = used_up                        /* it names nothing for good */
       fi;
       old_view = false;
       told[1] = false; told[2] = false; told[3] = false; ended[1] = false; ended[2] = false; ended[3] = false }
  :: atomic { state == quarantine && grace == 0 ->
#ifndef NO_GRACE
       /* The contract: by now nobody has a reference to what has ended, nor anything under way that began with one. */
       !waits(1) && !waits(2) && !waits(3);
       reference[1] = 0; reference[2] = 0; reference[3] = 0;
#endif
       state = free }
  od
}

/* Whatever began before the last tick has ended, and the leases of those who are gone. */
#define settled(n) (!asks_long[n] && (member[n] || sure[n]))

inline age(n) {
  asks_long[n] = waits(n);
  if
  :: tombstone[n] != 0 -> tombstone[n]--
  :: else
  fi
}

proctype clock() {
  do
  :: atomic { settled(1) && settled(2) && settled(3) ->
       age(1); age(2); age(3);
       if
       :: grace != 0 -> grace--
       :: else
       fi }
  od
}

init {
  atomic {
    run node(1); run node(2); run node(3); run directory(); run clock()
  }
}
