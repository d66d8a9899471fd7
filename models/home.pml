/* Calls of an object with one home, while its home is lost and made anew: a call runs at most once and ends exactly once,
 * with a value only from the home of the present epoch.
 *
 * Nodes 0 (the front end, which has the directory) to 2; the first home is node 1. That a node which is surely gone answers
 * no more is what membership.pml shows, and is taken for granted here. Two callers, on nodes that stay, make one call each,
 * with at most TRIES attempts; what they know of the home may be as old as anything.
 * No step leads back to where it began, so every run comes to rest: what has not ended by then never will.
 * Bugs: NO_SURE_END, NO_RECORD_CHECK, NO_COMPARE, SEND_AGAIN, ANSWER_ALWAYS, ANSWER_TWICE, NOT_TOLD,
 * UNANSWERED. */

#define NODES   3
#define CALLERS 2
#define TRIES   2
#define EPOCHS  6    /* each but the first follows the loss of a backend: more than can come, even with NO_COMPARE */
#define NOWHERE NODES

mtype = { idle, asking, calling, value, moved, gone_node, ended };

/* The front end's. */
byte home = 1;
byte epoch = 1;
bool member[NODES] = true;
bool sure[NODES];          /* gone, and surely ended */

/* A node's. */
bool dead[NODES];          /* in truth */
byte instance[NODES];      /* the epoch of its instance of the home; 0: none */
byte known_epoch[NODES];   /* what it has heard from the directory: the epoch at which this node was the home */
byte made[EPOCHS];         /* instances constructed for an epoch: of homes that neither move nor are dropped */

/* A call's. */
mtype call[CALLERS] = idle;
byte target[CALLERS];
byte ran[CALLERS];         /* executions, in truth */
byte answers[CALLERS];     /* ends that the caller has seen */
bool request[CALLERS];     /* on its way to target */
bool running[CALLERS];     /* suspended in its method, on target */
byte ran_in[CALLERS];      /* the epoch it ran in */

/* Whether node n may answer now: while it surely has not ended. */
#ifdef NO_SURE_END
#define may_answer(n) (!dead[n])
#define may_make_anew(n) (!member[n])
#else
#define may_answer(n) (!dead[n] && !sure[n])
#define may_make_anew(n) (!member[n] && sure[n])
#endif

proctype caller(byte c) {
  byte known = NOWHERE;     /* what this caller's node knows: a home and its epoch */
  byte known_at;
  byte read = NOWHERE;      /* the directory's answer on its way */
  byte read_at;
  byte stale;               /* an epoch that has failed */
  byte tries;
end:
  do
  :: atomic { call[c] == idle && tries < TRIES && (known == NOWHERE || known_at <= stale) -> call[c] = asking }
  :: atomic { call[c] == asking && read == NOWHERE -> read = home; read_at = epoch }
  :: atomic { call[c] == asking && read != NOWHERE ->
       if
       :: read_at > known_at -> known = read; known_at = read_at
       :: else
       fi;
       read = NOWHERE; read_at = 0; call[c] = idle;
       if
       :: known_at <= stale -> tries++     /* no news: after a pause */
       :: else
       fi }
  :: atomic { call[c] == idle && tries < TRIES && known != NOWHERE && known_at > stale ->
       tries++;
       if
       :: member[known] ->
            target[c] = known; request[c] = true; call[c] = calling
       :: else -> stale = known_at         /* nothing was sent; it waits for another home */
       fi }
  :: atomic { call[c] == moved -> stale = known_at; call[c] = idle }
  :: atomic { call[c] == value ->
       answers[c]++; assert(ran[c] == 1 && answers[c] == 1); call[c] = ended }
  :: atomic { call[c] == gone_node ->
#ifdef SEND_AGAIN
       stale = known_at; call[c] = idle
#else
       answers[c]++; assert(answers[c] == 1); call[c] = ended  /* it may have run, so it is not sent again */
#endif
     }
  :: atomic { call[c] == idle && tries == TRIES ->
       /* Nothing has run. */
       answers[c]++; assert(ran[c] == 0 && answers[c] == 1); call[c] = ended }
  :: atomic { call[c] == calling ->        /* its deadline passes, or it is cancelled; the call may still run */
       assert(request[c] || running[c]);   /* what it waited for would have come: no call needs a deadline to end */
       answers[c]++; assert(answers[c] == 1); call[c] = ended }
  od
}

/* An answer arrives, or word that the connection has ended. It is dropped if the caller waits no more. */
inline answer(c, what) {
  if
#ifdef ANSWER_TWICE
  :: true -> call[c] = what
#else
  :: call[c] == calling -> call[c] = what
#endif
  :: else
  fi
}

inline construct(n, e) {
  if
  :: instance[n] != e -> instance[n] = e; made[e]++; assert(made[e] == 1)
  :: else
  fi
}

/* The request of call c arrives at node n. */
inline serve(n, c) {
  request[c] = false;
  if
#ifdef NO_RECORD_CHECK
  :: instance[n] == 0 -> construct(n, epoch)
#else
  :: instance[n] == 0 && known_epoch[n] != 0 -> construct(n, known_epoch[n])
#endif
  :: else
  fi;
  if
  :: instance[n] != 0 && may_answer(n) ->
       assert(home == n && epoch == instance[n]);
       assert(ran[c] == 0);
       ran[c]++; ran_in[c] = instance[n]; running[c] = true
  :: else -> answer(c, moved)
  fi
}

inline end_method(n, c) {
  running[c] = false;
  if
#ifdef UNANSWERED
  :: !may_answer(n)
#elif !defined(ANSWER_ALWAYS)
  :: !may_answer(n) -> answer(c, gone_node)
#endif
  :: else ->
       if
       :: call[c] == calling -> assert(ran_in[c] == epoch)
       :: else
       fi;
       answer(c, value)
  fi
}

inline end_connection(c) {
  request[c] = false; running[c] = false;
#ifndef NOT_TOLD
  answer(c, gone_node)
#endif
}

#define arrives(n, c)  (request[c] && target[c] == n && !dead[n])
#define runs_at(n, c)  (running[c] && target[c] == n && !dead[n])
#define may_cut(n, c)  ((request[c] || running[c]) && target[c] == n && (dead[n] || n != 0))

proctype node(byte n) {
end:
  do
  :: atomic { !dead[n] && home == n && known_epoch[n] == 0 -> known_epoch[n] = epoch }  /* it asks the directory */
  :: atomic { arrives(n, 0) -> serve(n, 0) }
  :: atomic { arrives(n, 1) -> serve(n, 1) }
  :: atomic { runs_at(n, 0) -> end_method(n, 0) }
  :: atomic { runs_at(n, 1) -> end_method(n, 1) }
  :: atomic { n != 0 && !dead[n] -> dead[n] = true; instance[n] = 0; known_epoch[n] = 0 }
  :: atomic { may_cut(n, 0) -> end_connection(0) }
  :: atomic { may_cut(n, 1) -> end_connection(1) }
  od
}

proctype membership() {
end:
  do
  :: atomic { member[1] -> member[1] = false }
  :: atomic { member[2] -> member[2] = false }
  :: atomic { !member[1] && !sure[1] -> sure[1] = true }
  :: atomic { !member[2] && !sure[2] -> sure[2] = true }
  od
}

/* Two works of the front end look at the homes of a lost node, one a little later than the other: each reads the record,
   chooses, and sets it if it is still what was read. */
proctype home_keeper() {
  byte expected;
  byte chosen;
end:
  do
  :: atomic { expected == 0 && home != 0 && may_make_anew(home) ->
       expected = epoch;
       if
       :: home == 1 && member[2] -> chosen = 2
       :: else -> chosen = 0
       fi }
  :: atomic { expected != 0 ->
#ifndef NO_COMPARE
       if
       :: epoch == expected ->
#endif
            home = chosen; epoch++
#ifndef NO_COMPARE
       :: else
       fi
#endif
       ;
       expected = 0; chosen = 0 }
  od
}

init {
  atomic {
    run node(0); run node(1); run node(2);
    run caller(0); run caller(1);
    run membership(); run home_keeper(); run home_keeper()
  }
  atomic { timeout ->                      /* nothing happens any more */
    assert(call[0] == ended && call[1] == ended && answers[0] == 1 && answers[1] == 1);
    assert(!request[0] && !request[1] && !running[0] && !running[1]) }
}
