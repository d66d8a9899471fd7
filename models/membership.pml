/* Who is a member, who holds a lease, and when a home may be made anew: at no moment do two nodes answer for one home.
 *
 * Node 0 is the front end, the others are backends. Time is discrete: a tick of the front end's clock, on which a
 * backend's clock may stand still, at most once in LEASE + 1 ticks (that is the bound on drift, coarse on purpose). The
 * front end's patience WAIT is the lease as the slowest such clock counts it.
 * Bugs: NO_LEASE, NO_WAIT, NO_DRIFT, LEASE_FROM_ANSWER, NO_FENCE, NEVER_SUSPECT. */

#define NODES   3        /* with the front end */
#define LEASE   2
#define SUSPECT 3        /* silence after which a member is declared gone; > LEASE */

#if defined(NO_WAIT)
#define WAIT 0
#elif defined(NO_DRIFT)
#define WAIT LEASE
#else
#define WAIT (LEASE + 1)
#endif
#ifdef NO_LEASE
#define may_answer(n) (instance[n])
#else
#define may_answer(n) (instance[n] && left[n] > 0)
#endif
#define LATEST (SUSPECT + 1)  /* where counts of silence stop */

mtype = { none, asked, granted };  /* a backend's heartbeat: no one under way, on its way, its answer on its way */

/* Of the backends, in truth: */
bool alive[NODES] = true;
mtype beat[NODES] = none;
byte age[NODES];         /* of the heartbeat under way, by the backend's clock; stops at LEASE */
bool late[NODES];        /* a heartbeat that the backend has given up is still on its way to the front end */
byte left[NODES];        /* of the lease, by the backend's clock */
byte steady[NODES];      /* ticks since the backend's clock stood still; stops at LEASE */
bool told[NODES];        /* the directory's word that this node is the home is on its way to it */
bool instance[NODES];    /* it has made the home's instance */

/* Of the front end: */
bool member[NODES] = true;
bool ended[NODES];       /* its driver has seen the node's end */
byte silent[NODES];      /* ticks since a heartbeat of it was last answered; stops at LATEST */
byte home = 1;           /* the directory's record. Homes that move between living nodes are left out: here a node
                            loses one only with its membership, which does not come back, so that its number stands
                            for the home epoch. */
byte orphaned;           /* ticks that the home's node has been dead and unheard of */

inline end_node(n) {
  alive[n] = false; left[n] = 0; age[n] = 0; told[n] = false; instance[n] = false; steady[n] = LEASE;
  if
  :: beat[n] == asked -> late[n] = true
  :: else
  fi;
  beat[n] = none
}

proctype backend(byte n) {
  byte grant;
  do
  :: atomic { alive[n] && beat[n] == none -> beat[n] = asked; age[n] = 0 }
  :: atomic { beat[n] == granted ->  /* the lease counts from when the heartbeat was sent */
#ifdef LEASE_FROM_ANSWER
       grant = LEASE;
#else
       grant = LEASE - age[n];
#endif
       if
       :: grant > left[n] -> left[n] = grant
       :: else
       fi;
       beat[n] = none; age[n] = 0; grant = 0 }
  :: atomic { beat[n] != none ->    /* lost, or given up */
       if
       :: beat[n] == asked -> late[n] = true
       :: true
       fi;
       beat[n] = none; age[n] = 0 }
  :: atomic { alive[n] -> end_node(n) }  /* crashes, or was told that it is gone */
  :: atomic { told[n] -> told[n] = false; instance[n] = true }
  :: atomic { may_answer(n) -> assert(home == n) }  /* answers a call: it is the home, and no other is */
  od
}

inline hear(n) {
  if
#ifdef NO_FENCE
  :: true -> silent[n] = (member[n] -> 0 : silent[n]);
#else
  :: member[n] -> silent[n] = 0;
#endif
     orphaned = 0
  :: else
  fi
}

/* The next home, any member; the front end, which needs no lease, if there is no other. */
inline make_anew() {
  if
  :: home != 1 && member[1] -> home = 1
  :: home != 2 && member[2] -> home = 2
  :: !member[1] && !member[2] -> home = 0
  fi;
  orphaned = 0
}

#define surely_gone(n) (!member[n] && (ended[n] || silent[n] >= WAIT))

proctype front_end() {
  byte n;
  do
  :: atomic {
       select(n : 1 .. NODES - 1);
       if
       :: beat[n] == asked ->
            hear(n);
#ifdef NO_FENCE
            beat[n] = granted
#else
            if
            :: member[n] -> beat[n] = granted
            :: else -> beat[n] = none; age[n] = 0  /* refused */
            fi
#endif
       :: late[n] -> late[n] = false; hear(n)
       :: member[n] -> member[n] = false           /* its connection was lost */
       :: !alive[n] && !member[n] && !ended[n] -> ended[n] = true
       :: member[n] && alive[n] && home == n && !told[n] && !instance[n] -> told[n] = true  /* it asks the directory */
       :: else
       fi;
       n = 0 }
  :: atomic { home != 0 && surely_gone(home) -> make_anew() }
  od
}

proctype time() {
  byte n;
  bool moves;
  do
  :: atomic {
       /* What is due by now has been done. */
       !(home != 0 && surely_gone(home) && orphaned > SUSPECT + WAIT);
       n = 1;
       do
       :: n < NODES ->
            if
            :: silent[n] < LATEST -> silent[n]++
            :: else
            fi;
#ifndef NEVER_SUSPECT
            if
            :: member[n] && silent[n] > SUSPECT -> member[n] = false
            :: else
            fi;
#endif
            if
            :: alive[n] ->
                 if
                 :: moves = true; steady[n] = (steady[n] < LEASE -> steady[n] + 1 : LEASE)
                 :: steady[n] == LEASE -> moves = false; steady[n] = 0
                 fi;
                 if
                 :: moves && left[n] > 0 -> left[n]--
                 :: else
                 fi;
                 if
                 :: moves && beat[n] != none && age[n] < LEASE -> age[n]++
                 :: else
                 fi;
                 moves = false
            :: else
            fi;
            n++
       :: else -> break
       od;
       n = 0;
       /* Progress, as a bound: a home whose node is dead has another in time. */
       if
       :: home != 0 && !alive[home] && !late[home] -> orphaned++
       :: else -> orphaned = 0
       fi;
       assert(orphaned <= SUSPECT + 1 + WAIT) }
  od
}

init {
  atomic {
    steady[1] = LEASE; steady[2] = LEASE;
    run backend(1); run backend(2); run front_end(); run time()
  }
}
