/* The move of an object with one home from one living node to another: one instance answers at a time, with the state that all
 * answered calls have made, and no move leaves the object without an answer.
 *
 * A move is: give (the old home stops answering, waits for its calls, and gives the state but keeps its instance), take (the state
 * waits at the new node), the change of the directory's record by compare-and-set of the epoch, forget; or, when one of the
 * first three has failed, keep. Whoever conducts it may give up, or die, at any moment; what it has asked for is then on its
 * way all the same, and done late. A given home that hears no more asks the directory for itself, by the same compare-and-set,
 * and an answer to that may be lost. Two moves at once, each between any two nodes.
 *
 * Nodes 0 (the front end, which is not lost) to 2, of one core each; the first home is node 1. A node runs, and has its lease,
 * until it has surely ended: that is membership.pml. A miss is one step, since nobody gives away what a core is just making.
 * Bugs: GIVE_AT_ONCE, ANSWER_GIVEN, NO_COMPARE, SETTLE_THE_NEXT, DISCARD_UNASKED, NEVER_SETTLE, KEEP_UNASKED, OLD_KNOWLEDGE,
 * LOST_ANSWER, FORGET_OWN, SAME_GIVE. */

#define NODES   3
#define MOVERS  2
#define EVENTS  3     /* moves, and the loss of a node */
#define CALLS   1     /* and the look at the end */
#define NOWHERE NODES
#define NOBODY  MOVERS

mtype = { idle, giving, bringing, changing };  /* what a conductor waits for */
mtype = { quiet, asked, kept, told };          /* how far a given home's question to the directory is */

byte left = EVENTS;

/* The front end's. */
byte home = 1;
byte epoch = 1;
bool member[NODES] = true;
bool sure[NODES];           /* gone, and surely ended */

/* A node's. */
bool slot[NODES];           /* its instance is where calls find it */
byte data[NODES];           /* of its instance, in the slot or given */
byte given[NODES];          /* the epoch of the home that it gives away; 0: none */
byte giver[NODES] = NOBODY; /* whose give waits for its calls */
bool drained[NODES];
byte taken[NODES];          /* the epoch that the state which waits here is for; 0: none */
byte state[NODES];
byte known[NODES];          /* the epoch of the home that it takes itself for; 0: it does not */
mtype question[NODES] = quiet;
byte about[NODES];          /* the epoch that was given */
byte answer[NODES];         /* the record's epoch, if that names this node; else 0 */

/* A conductor's. */
mtype step[MOVERS] = idle;
byte from[MOVERS];
byte out_of[MOVERS];        /* the epoch that the move ends */
byte to[MOVERS];
byte cargo[MOVERS];
bool give_sent[MOVERS];     /* on its way, whether the conductor still waits or not; the same of those below */
bool draining[MOVERS];      /* its give waits for calls */
bool take_sent[MOVERS];
bool change_sent[MOVERS];
bool keep_sent[MOVERS];
bool forget_sent[MOVERS];

byte calls;
byte call_at = NOWHERE;     /* where one is under way */
byte truth;                 /* calls answered since the state was last lost, in truth */
bool lost;                  /* the front end has made the home anew, and that has not begun yet */

#define busy(c) (give_sent[c] || draining[c] || take_sent[c] || change_sent[c] || keep_sent[c] || forget_sent[c])
#define is_free(c) (step[c] == idle && !busy(c))

/* An instance comes to where calls find it. */
inline appear(n) {
  assert(home == n && data[n] == truth);
  assert(!slot[0] && !slot[1] && !slot[2]);    /* nobody else answers */
  slot[n] = true
}

/* Makes the instance, if this is the home; else whoever needs it is turned away. */
inline miss(n) {
  if
  :: !slot[n] && given[n] == 0 ->
       if
       :: known[n] == 0 && home == n -> known[n] = epoch    /* it asks the directory */
       :: else
       fi;
       if
       :: known[n] != 0 ->
            if
            :: taken[n] == known[n] -> data[n] = state[n]; taken[n] = 0; state[n] = 0
            :: else ->
                 assert(lost);                 /* no state is lost but with its home */
                 data[n] = 0; truth = 0
            fi;
            lost = false; appear(n)
       :: else
       fi
  :: else
  fi
}

inline take_back(n) { given[n] = 0; giver[n] = NOBODY; drained[n] = false; slot[n] = false; appear(n) }
inline end_given(n) {
  given[n] = 0; giver[n] = NOBODY; drained[n] = false;
#ifndef ANSWER_GIVEN
  data[n] = 0
#endif
}
inline discard(n) { taken[n] = 0; state[n] = 0 }
inline end_question(n) { question[n] = quiet; about[n] = 0; answer[n] = 0 }

inline rest(c) {
  if
  :: is_free(c) -> from[c] = 0; out_of[c] = 0; to[c] = 0; cargo[c] = 0
  :: else
  fi
}
/* What a conductor does if it still waits for this: nothing more; have the object kept; go on. */
inline stop(c, wait) {
  if
  :: step[c] == wait -> step[c] = idle
  :: else
  fi;
  rest(c)
}
inline give_up(c) {
  step[c] = idle;
  if
  :: keep_sent[c] = true
  :: true                                      /* it dies, or is not heard */
  fi
}
inline fail(c, wait) {
  if
  :: step[c] == wait -> give_up(c)
  :: else
  fi;
  rest(c)
}
inline bring(c) {
  if
  :: step[c] == giving -> step[c] = bringing; cargo[c] = data[from[c]]; take_sent[c] = true
  :: else
  fi;
  rest(c)
}

proctype conductor(byte c) {
  byte n;
end:
  do
  :: atomic { is_free(c) && (c == 0 || !is_free(0)) && left > 0 && !sure[home] ->
       select(n : 0 .. NODES - 1);
       if
       :: n != home && !sure[n] ->
            left--; from[c] = home; out_of[c] = epoch; to[c] = n; step[c] = giving; give_sent[c] = true
       :: else
       fi;
       n = 0 }
  :: atomic { step[c] != idle -> give_up(c) }              /* it takes too long; what was sent is still on its way */

  /* At the new node. */
  :: atomic { take_sent[c] ->
       take_sent[c] = false;
       if
       :: !sure[to[c]] && taken[to[c]] <= out_of[c] + 1 ->
            taken[to[c]] = out_of[c] + 1; state[to[c]] = cargo[c]; cargo[c] = 0;
            if
            :: step[c] == bringing -> step[c] = changing; change_sent[c] = true
            :: else
            fi;
            rest(c)
       :: !sure[to[c]] && taken[to[c]] > out_of[c] + 1 -> stop(c, bringing)
       :: fail(c, bringing)                                /* no room, or no such node any more */
       fi }

  /* At the directory, which does not look whether the new node is there. */
  :: atomic { change_sent[c] ->
       change_sent[c] = false;
       if
#ifdef NO_COMPARE
       :: true ->
#else
       :: epoch == out_of[c] ->
#endif
            home = to[c]; epoch++;
            if
            :: step[c] == changing -> forget_sent[c] = true
            :: true                                        /* that does not arrive */
            fi;
            stop(c, changing)
#ifndef NO_COMPARE
       :: else -> stop(c, changing)
#endif
       fi }
  od
}

/* A home that is kept before its calls have ended may be given away again out of the same epoch, while the earlier give still
   sleeps: each give must know its own. */
#ifdef SAME_GIVE
#define is_given_for(c) (given[from[c]] == out_of[c])
#else
#define is_given_for(c) (given[from[c]] == out_of[c] && giver[from[c]] == c)
#endif
#ifdef GIVE_AT_ONCE
#define calls_ended(n) true
#else
#define calls_ended(n) (call_at != n)
#endif

/* What conductor c has asked of the old home, at that. */
proctype old_home(byte c) {
end:
  do
  :: atomic { give_sent[c] ->
       give_sent[c] = false;
       if
       :: sure[from[c]] -> stop(c, giving)
       :: !sure[from[c]] && given[from[c]] == out_of[c] && drained[from[c]] -> bring(c)
       :: !sure[from[c]] && given[from[c]] == out_of[c] && !drained[from[c]] -> stop(c, giving)  /* another waits for its calls */
       :: else ->
            miss(from[c]);
            if
            :: slot[from[c]] && known[from[c]] == out_of[c] ->
                 given[from[c]] = out_of[c]; giver[from[c]] = c; draining[c] = true;
#ifndef ANSWER_GIVEN
                 slot[from[c]] = false
#endif
            :: else -> stop(c, giving)
            fi
       fi }
  :: atomic { draining[c] && !is_given_for(c) -> draining[c] = false; stop(c, giving) }
  :: atomic { draining[c] && is_given_for(c) && calls_ended(from[c]) ->
       draining[c] = false; drained[from[c]] = true; giver[from[c]] = NOBODY; bring(c) }
  :: atomic { draining[c] && is_given_for(c) && calls_ended(from[c]) ->          /* save() throws, or there is no room */
       draining[c] = false; take_back(from[c]); fail(c, giving) }
  :: atomic { draining[c] && is_given_for(c) && call_at == from[c] ->            /* for too long */
       draining[c] = false; take_back(from[c]); stop(c, giving) }

  :: atomic { keep_sent[c] && given[from[c]] != out_of[c] -> keep_sent[c] = false; rest(c) }
  :: atomic { keep_sent[c] && given[from[c]] == out_of[c] && !drained[from[c]] ->  /* nobody has its state */
       keep_sent[c] = false; take_back(from[c]); rest(c) }
  :: atomic { keep_sent[c] && given[from[c]] == out_of[c] && drained[from[c]] && question[from[c]] == quiet ->
       keep_sent[c] = false;
#ifdef KEEP_UNASKED
       take_back(from[c]);
#else
       question[from[c]] = asked; about[from[c]] = out_of[c];
#endif
       rest(c) }

  :: atomic { forget_sent[c] ->
       forget_sent[c] = false;
       if
#ifdef FORGET_OWN
       :: given[from[c]] != 0 && epoch > given[from[c]] ->
#else
       /* What it has just taken back itself, and not heard of yet, is not another's. */
       :: given[from[c]] != 0 && epoch > given[from[c]] && !(home == from[c] && epoch == given[from[c]] + 1) ->
#endif
#ifndef OLD_KNOWLEDGE
            known[from[c]] = (home == from[c] -> epoch : 0);
#endif
            end_given(from[c])
       :: else
       fi;
       rest(c) }
  od
}

/* Whether what the directory has said makes this node the home again. When the answer to its compare-and-set was lost it
   asks once more, and reads its own name: nobody else has given it that epoch. */
#ifdef LOST_ANSWER
#define is_kept(n) (question[n] == kept)
#else
#define is_kept(n) (question[n] == kept || answer[n] == about[n] + 1)
#endif
/* Meanwhile it may have been settled, and given away once more. */
#ifdef SETTLE_THE_NEXT
#define is_still_given(n) (given[n] != 0)
#else
#define is_still_given(n) (given[n] == about[n])
#endif
/* What a conductor may yet make of the state that waits at n. A minute later, when that is looked at, it is over. */
#define in_move(c, n) (to[c] == n && out_of[c] + 1 == taken[n] && \
                       (step[c] == bringing || step[c] == changing || take_sent[c] || change_sent[c]))
#ifdef DISCARD_UNASKED
#define is_wanted(n) false
#else
#define is_wanted(n) (home == n && epoch == taken[n])
#endif

proctype node(byte n) {
end:
  do
  :: atomic { call_at == NOWHERE && calls < CALLS && !sure[n] && (slot[n] || (given[n] == 0 && (known[n] != 0 || home == n))) ->
       miss(n);
       assert(home == n && data[n] == truth);
       call_at = n; calls++ }
  :: atomic { call_at == n ->                  /* its method ends, changes the state, and is answered */
       assert(slot[n] || given[n] != 0);
       assert(data[n] == truth);
       data[n]++; truth++; call_at = NOWHERE }

#ifndef NEVER_SETTLE
  :: atomic { given[n] != 0 && drained[n] && question[n] == quiet ->             /* nobody has said for a while what becomes of it */
       question[n] = asked; about[n] = given[n] }
#endif
  :: atomic { question[n] == asked ->
       if
       :: epoch == about[n] -> home = n; epoch++; question[n] = kept
       :: else -> answer[n] = (home == n -> epoch : 0); question[n] = told
       fi }
  :: atomic { question[n] == kept || question[n] == told -> end_question(n) }    /* the answer is lost */
  :: atomic { (question[n] == kept || question[n] == told) && is_still_given(n) ->
       if
       :: is_kept(n) -> known[n] = about[n] + 1; discard(n); take_back(n)
       :: else -> known[n] = answer[n]; end_given(n)
       fi;
       end_question(n) }

  :: atomic { taken[n] != 0 && !in_move(0, n) && !in_move(1, n) && !is_wanted(n) -> discard(n) }

  :: atomic { n != 0 && left > 0 && member[1] && member[2] -> left--; member[n] = false }
  :: atomic { !member[n] && !sure[n] ->
       sure[n] = true;
       slot[n] = false; end_given(n); data[n] = 0; discard(n); known[n] = 0; end_question(n);
       if
       :: call_at == n -> call_at = NOWHERE
       :: else
       fi }
  od
}

proctype front_end() {
  byte n;
  do
  :: atomic { sure[home] ->                    /* makes the home anew */
       select(n : 0 .. NODES - 1);
       if
       :: member[n] -> home = n; epoch++; lost = true
       :: else
       fi;
       n = 0 }
  :: atomic { left > 0 -> left = 0 }           /* nothing more happens */
  :: atomic { timeout ->                       /* and all is over: the object answers */
       assert(!sure[home] && given[0] == 0 && given[1] == 0 && given[2] == 0);
       n = home;
       miss(n);
       assert(slot[n] && data[n] == truth);
       break }
  od
}

init {
  atomic {
    slot[1] = true; known[1] = 1;
    run node(0); run node(1); run node(2); run front_end();
    run conductor(0); run old_home(0); run conductor(1); run old_home(1)
  }
}
