/* One partition on its way from owner to owner while the membership changes: one owner answers at a time, and no state is
 * lost but with its owner.
 *
 * The object's home decides. A decision carries a round, which every node that hears of it seals: what belongs to an
 * earlier round is refused there. To move the partition the home tells the new owner to adopt it; that asks the old one to
 * release it (which stops answering and gives the state), and then to forget it. Each decision is a round of its own, since
 * what was tried twice for the one before may still be on its way. Whenever a decision is not known to have been
 * carried out, and when the home was made anew, the next round begins with asking all members what they have, and nothing
 * is decided before nobody is adopting any more. Any call may be cut off before or after it has run. Which member is the
 * next owner is open: that stands for any change of the membership.
 * Bugs: NO_NEW_ROUND, SAME_NUMBER, NO_SEAL, NO_WAIT, ANSWER_FROZEN, FORGET_FIRST, TRUST_ADOPTING, FORGET_ANY_ROUND. */

#define NODES  4      /* 1 to 3; the home is none of them: that its node is lost is an event of its own */
#define ROUNDS 4
#define LOSSES 2
#define WRITES 1

mtype = { nothing, live, frozen };                 /* what a node has */
mtype = { idle, releasing, forgetting, adopted };  /* how far its adoption is */
mtype = { collecting, deciding, waiting };         /* what the home does */

mtype has[NODES] = nothing;
byte data[NODES];
byte sealed[NODES];
bool member[NODES] = true;
bool sure[NODES];            /* gone, and surely ended */
byte lost_as[NODES];         /* the first, or second, to be lost */

mtype adoption[NODES] = idle;
byte from[NODES];
byte round_of[NODES];
byte copy[NODES];

bool order[NODES];           /* a call of the home to adopt, on its way */
byte order_from[NODES];      /* 0: anew */
byte order_round[NODES];
bool awaited[NODES];         /* the home still waits for the end of what it ordered last */
byte late_release[NODES];    /* round of a release, or forget, on its way to the node whose caller has given up; 0: none */
byte late_forget[NODES];

mtype step = deciding;
byte round = 1;
byte owner;                  /* as the home knows; 0: nobody */
bool settled;

byte truth;                  /* writes that were answered */
bool excused = true;         /* whoever had the state was lost since it was made */
byte losses;

#define runs(n) (!sure[n])
#ifdef NO_SEAL
#define refused(n, r) false
#else
#define refused(n, r) (r < sealed[n])
#endif
#ifdef FORGET_ANY_ROUND
#define takes_copy(n, r) (runs(n) && has[n] == frozen)
#else
#define takes_copy(n, r) (runs(n) && !refused(n, r) && has[n] == frozen)
#endif
#ifdef ANSWER_FROZEN
#define answers(n) (runs(n) && has[n] != nothing)
#else
#define answers(n) (runs(n) && has[n] == live)
#endif
#ifdef NO_WAIT
#define is_lost(n) (!member[n])
#else
#define is_lost(n) (sure[n])
#endif

/* A node hears no more of the membership once it is gone itself. */
#define knows_gone(n, f) (!member[f] && (member[n] || lost_as[f] < lost_as[n]))
/* What it has can still answer, or be asked for. */
#define keeps(n) (!sure[n] && (has[n] == live || (member[n] && has[n] == frozen)))

/* Whoever is gone has surely ended. */
#define all_lost ((member[1] || is_lost(1)) && (member[2] || is_lost(2)) && (member[3] || is_lost(3)))

inline decide_next() {
#ifdef SAME_NUMBER
  step = deciding
#else
  if
  :: round < ROUNDS -> round++; step = deciding
  :: else -> step = waiting      /* the search ends here */
  fi
#endif
}

inline doubt() {
  settled = false;
#ifdef NO_NEW_ROUND
  decide_next()
#else
  if
  :: round < ROUNDS -> round++; step = collecting
  :: else -> step = waiting
  fi
#endif
}

/* The home hears how its order ended, if it still waits. */
inline report_done(n) {
  if
  :: awaited[n] -> awaited[n] = false; owner = n; settled = true; decide_next()
  :: else
  fi
}
inline report_failed(n) {
  if
  :: awaited[n] -> awaited[n] = false; doubt()
  :: else
  fi
}

inline give_up(n) { adoption[n] = idle; from[n] = 0; round_of[n] = 0; copy[n] = 0 }

proctype node(byte n) {
  do
  :: atomic { answers(n) ->                          /* a call, which may write */
       assert(data[n] == truth);
       assert(!(n != 1 && answers(1)) && !(n != 2 && answers(2)) && !(n != 3 && answers(3)));
       if
       :: truth < WRITES -> truth++; data[n]++
       :: true
       fi }
  :: atomic { order[n] && runs(n) ->
       order[n] = false;
       if
       :: refused(n, order_round[n]) || adoption[n] != idle -> assert(!awaited[n])   /* it comes late */
       :: else ->
            sealed[n] = order_round[n];
            if
            :: has[n] != nothing -> has[n] = live; report_done(n)
            :: has[n] == nothing && order_from[n] == 0 ->
                 assert(!keeps(1) && !keeps(2) && !keeps(3));   /* nothing that could be had is given up */
                 assert(excused);                               /* no state is lost but with its owner */
                 has[n] = live; data[n] = 0; truth = 0; excused = false;
                 report_done(n)
            :: else -> adoption[n] = releasing; from[n] = order_from[n]; round_of[n] = order_round[n]
            fi
       fi;
       order_from[n] = 0; order_round[n] = 0 }
  :: atomic { adoption[n] == releasing && runs(n) ->
       if
       :: runs(from[n]) && !refused(from[n], round_of[n]) && has[from[n]] != nothing ->
            sealed[from[n]] = round_of[n];
            has[from[n]] = frozen; copy[n] = data[from[n]]; adoption[n] = forgetting
       :: late_release[from[n]] = round_of[n]; give_up(n); report_failed(n)   /* it takes too long */
       :: give_up(n); report_failed(n)                                        /* refused, not there, or cut off */
       fi }
  :: atomic { adoption[n] == forgetting && runs(n) ->
       if
#ifdef FORGET_FIRST
       :: has[from[n]] == frozen && runs(from[n]) -> has[from[n]] = nothing; data[from[n]] = 0; give_up(n); report_failed(n)
#endif
       :: runs(from[n]) && !refused(from[n], round_of[n]) && has[from[n]] != live ->
            sealed[from[n]] = round_of[n];
            if
            :: true -> late_forget[from[n]] = round_of[n]          /* this one ran; one that was tried before may yet come */
            :: true
            fi;
            has[from[n]] = nothing; data[from[n]] = 0; adoption[n] = adopted
       :: runs(from[n]) && (refused(from[n], round_of[n]) || has[from[n]] == live) -> give_up(n); assert(!awaited[n])
       :: knows_gone(n, from[n]) -> adoption[n] = adopted
       :: give_up(n); report_failed(n)                                        /* an exception */
       fi }
  :: atomic { adoption[n] == adopted && runs(n) -> has[n] = live; data[n] = copy[n]; give_up(n); report_done(n) }
  :: atomic { late_release[n] != 0 ->
       if
       :: runs(n) && !refused(n, late_release[n]) && has[n] != nothing -> sealed[n] = late_release[n]; has[n] = frozen
       :: true
       fi;
       late_release[n] = 0 }
  :: atomic { late_forget[n] != 0 ->
#ifdef SAME_NUMBER                                                   /* there it takes a copy, and what that does is seen later */
       if
       :: takes_copy(n, late_forget[n]) -> has[n] = nothing; data[n] = 0
       :: true
       fi;
#else
       assert(!takes_copy(n, late_forget[n]));                       /* nothing of a later move: it is refused, or finds nothing */
#endif
       late_forget[n] = 0 }
  :: atomic { member[n] && losses < LOSSES -> member[n] = false; losses++; lost_as[n] = losses }
  :: atomic { !member[n] && !sure[n] ->
       if
       :: has[n] != nothing || adoption[n] == adopted -> excused = true
       :: else
       fi;
       sure[n] = true; has[n] = nothing; data[n] = 0; sealed[n] = 0;
       order[n] = false; order_from[n] = 0; order_round[n] = 0;
       adoption[n] = idle; from[n] = 0; round_of[n] = 0; copy[n] = 0; late_release[n] = 0; late_forget[n] = 0;
       report_failed(n) }
  od
}

proctype home() {
  byte n;
  byte next = 1;        /* who is asked next what it has */
  byte found;
  do
  :: atomic { step == collecting && next < NODES ->
       if
       :: !member[next] -> next++
#ifdef TRUST_ADOPTING
       :: member[next] ->
#else
       :: member[next] && adoption[next] != idle -> sealed[next] = round; next = 1; found = 0   /* not yet; once more */
       :: member[next] && adoption[next] == idle ->
#endif
            sealed[next] = round;
            if
            :: has[next] == live || (has[next] == frozen && found == 0) -> found = next
            :: else
            fi;
            next++
       fi }
  :: atomic { step == collecting && next == NODES -> owner = found; found = 0; next = 1; step = deciding }
  :: atomic { step == deciding ->
       select(n : 1 .. NODES - 1);
       if
       :: !member[n] || order[n] || (n == owner && settled) -> skip
       :: member[n] && !order[n] && owner != 0 && member[owner] && !(n == owner && settled) ->
            order[n] = true; order_from[n] = owner; order_round[n] = round; awaited[n] = true; settled = false; step = waiting
       :: member[n] && !order[n] && (owner == 0 || !member[owner]) && all_lost ->
            order[n] = true; order_from[n] = 0; order_round[n] = round; awaited[n] = true; settled = false; step = waiting
       :: else
       fi;
       n = 0 }
  :: atomic { step == waiting ->                                   /* the order's answer does not come */
       select(n : 1 .. NODES - 1);
       if
       :: awaited[n] -> awaited[n] = false; doubt()
       :: else
       fi;
       n = 0 }
  :: atomic { round < ROUNDS ->                                    /* the home is lost, and made anew */
       awaited[1] = false; awaited[2] = false; awaited[3] = false;
       round++; owner = 0; settled = false; found = 0; next = 1; step = collecting }
  od
}

init { atomic { run node(1); run node(2); run node(3); run home() } }
