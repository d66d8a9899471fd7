/* How a replica of a replicated object becomes its home when the home is lost: no answered write is lost as long as a replica
 * that has it is left, and no node reads an earlier state after a later one.
 *
 * Three backends, of which any is the first home; the others join it. The home carries a write out, sends it to all who subscribe, and
 * answers when all have acknowledged it, or are lost and surely show nothing any more. When the home has surely ended the front
 * end seals the replicas of all members, and chooses the farthest; the new home has all others dropped, outlasts the leases of
 * those who are gone, and only then answers, also those who join it anew. What a home has sent may arrive long after its end.
 * A state is the set of the writes that made it. That a node which is surely gone shows nothing is what membership.pml shows.
 * Bugs: NO_OUTLAST, WRITE_UNHEARD, CHOOSE_ANY, NO_SEAL, NO_DROP. */

#define NODES  4      /* 1 to 3 */
#define WRITES 2
#define LOSSES 2

byte home;                   /* the directory's record */
byte epoch = 1;
bool member[NODES] = true;
bool sure[NODES];            /* gone, and surely ended or without a lease */
byte losses;

bool live[NODES];            /* a replica that can be read */
byte follows[NODES];         /* the epoch of the home whose writes it carries out */
byte data[NODES];            /* one bit a write */
byte sealed[NODES];          /* epochs before it are not followed any more */
byte seen[NODES];            /* what was read here last */
byte left[NODES];            /* has been told to drop what follows a home before that of this epoch */

bool joining[NODES];
byte snapshot_of[NODES];     /* the epoch of a first state on its way; 0: none */
byte snapshot[NODES];
byte early[NODES];           /* writes that came before it */

byte sent_by[NODES];         /* writes on their way to this node; 0: none */
byte sent_of[NODES];
byte sent[NODES];

byte original[NODES];        /* the epoch for which this node answers writes; 0: none */
byte leads[NODES];           /* the epoch for which it is about to */
byte under_way[NODES];       /* the write that has no answer yet; 0: none */
byte subscribers[NODES];     /* of this home, one bit a node */
byte due[NODES];             /* those who have not acknowledged the write */

byte begun;                  /* writes so far */
byte answered;               /* the set of those that were answered */

#define acts(n) (!sure[n])
#define bit(n)  (1 << (n))
#define lacks(what, all) (((all) & ~(what)) != 0)
/* One more write, or a later home, is farther. No home begins its second write before the first is answered. */
#define size(set) (((set) & 1) + (((set) >> 1) & 1))
#define far(n) (follows[n] * 4 + size(data[n]))

#ifdef NO_OUTLAST
#define shows_nothing(m) (!member[m])
#else
#define shows_nothing(m) (sure[m])
#endif
#ifdef WRITE_UNHEARD
#define is_outlasted(m) (!member[m])
#else
#define is_outlasted(m) (sure[m])
#endif
#ifdef NO_DROP
#define is_left_behind(n, m) true
#else
#define is_left_behind(n, m) (m == n || left[m] == leads[n] || shows_nothing(m))
#endif

inline forget(n) {
  live[n] = false; follows[n] = 0; data[n] = 0
}

inline end_joining(n) { joining[n] = false; snapshot_of[n] = 0; snapshot[n] = 0; early[n] = 0 }

inline seal(n, e) {
#ifdef NO_SEAL
  skip
#else
  if
  :: sealed[n] < e -> sealed[n] = e
  :: else
  fi
#endif
}

inline unsubscribe(h, m) {
  subscribers[h] = subscribers[h] & ~bit(m); due[h] = due[h] & ~bit(m)
}

/* Writes arrive at n; what their home hears, if it is still there. */
inline arrive(n) {
  if
  :: sent_of[n] >= sealed[n] && joining[n] -> early[n] = early[n] | sent[n]; due[sent_by[n]] = due[sent_by[n]] & ~bit(n)
  :: sent_of[n] >= sealed[n] && !joining[n] && live[n] && follows[n] == sent_of[n] ->
       data[n] = data[n] | sent[n]; due[sent_by[n]] = due[sent_by[n]] & ~bit(n)
  :: else -> unsubscribe(sent_by[n], n)
  fi;
  sent_by[n] = 0; sent_of[n] = 0; sent[n] = 0
}

inline begin_replica(n) {
  if
  :: snapshot_of[n] >= sealed[n] -> live[n] = true; follows[n] = snapshot_of[n]; data[n] = snapshot[n] | early[n]
  :: else
  fi;
  end_joining(n)
}

/* The home h and another node m. */
#define may_send(h, m)      (acts(h) && (due[h] & bit(m)) && sent_by[m] == 0)
#define may_subscribe(h, m) (original[h] != 0 && acts(h) && acts(m) && member[m] && h != m && !live[m] && !joining[m])
#define may_drop(h, m)      (leads[h] != 0 && acts(h) && acts(m) && member[m] && h != m && left[m] < leads[h])

inline send_to(h, m) { sent_by[m] = h; sent_of[m] = original[h]; sent[m] = data[h] }
inline subscribe(h, m) {
  joining[m] = true; snapshot_of[m] = original[h]; snapshot[m] = data[h];
  subscribers[h] = subscribers[h] | bit(m); due[h] = due[h] & ~bit(m)
}
inline drop(h, m) {
  seal(m, leads[h]); left[m] = leads[h];
  if
  :: live[m] && follows[m] < leads[h] -> forget(m)
  :: else
  fi
}

#define has_answered(m) (live[m] && acts(m) && (data[m] & answered) != 0)

inline be_original(n) {
  if
  :: live[n] -> assert(!lacks(data[n], answered))
  :: else ->                                   /* no replica was left: it begins anew */
       assert(!has_answered(1) && !has_answered(2) && !has_answered(3));
       answered = 0; seen[1] = 0; seen[2] = 0; seen[3] = 0; live[n] = true
  fi;
  end_joining(n);
  original[n] = leads[n]; follows[n] = leads[n]; leads[n] = 0
}

proctype node(byte n) {
end:
  do
  :: atomic { acts(n) && live[n] && (seen[n] != data[n] || lacks(data[n], answered)) ->    /* a read */
       assert(!lacks(data[n], answered));
       assert(!lacks(data[n], seen[n]));
       seen[n] = data[n] }
  :: atomic { acts(n) && original[n] != 0 && under_way[n] == 0 && begun < WRITES ->         /* a write */
       begun++; under_way[n] = begun; data[n] = data[n] | (1 << (begun - 1)); due[n] = subscribers[n] }
  :: atomic { acts(n) && under_way[n] != 0 && due[n] == 0 ->
       answered = answered | (1 << (under_way[n] - 1)); under_way[n] = 0 }
  :: atomic { may_send(n, 1) -> send_to(n, 1) }
  :: atomic { may_send(n, 2) -> send_to(n, 2) }
  :: atomic { may_send(n, 3) -> send_to(n, 3) }
  :: atomic { acts(n) && member[n] && (subscribers[n] & bit(1)) && is_outlasted(1) -> unsubscribe(n, 1) }
  :: atomic { acts(n) && member[n] && (subscribers[n] & bit(2)) && is_outlasted(2) -> unsubscribe(n, 2) }
  :: atomic { acts(n) && member[n] && (subscribers[n] & bit(3)) && is_outlasted(3) -> unsubscribe(n, 3) }
  :: atomic { acts(n) && sent_by[n] != 0 -> arrive(n) }
  :: atomic { may_subscribe(1, n) -> subscribe(1, n) }
  :: atomic { may_subscribe(2, n) -> subscribe(2, n) }
  :: atomic { may_subscribe(3, n) -> subscribe(3, n) }
  :: atomic { acts(n) && joining[n] && snapshot_of[n] != 0 -> begin_replica(n) }
  :: atomic { home == n && member[n] && original[n] < epoch && leads[n] < epoch -> leads[n] = epoch }
  :: atomic { may_drop(n, 1) -> drop(n, 1) }
  :: atomic { may_drop(n, 2) -> drop(n, 2) }
  :: atomic { may_drop(n, 3) -> drop(n, 3) }
  :: atomic { acts(n) && leads[n] != 0 && is_left_behind(n, 1) && is_left_behind(n, 2) && is_left_behind(n, 3) -> be_original(n) }
  :: atomic { member[n] && losses < LOSSES -> member[n] = false; losses++ }
  :: atomic { !member[n] && !sure[n] ->
       sure[n] = true; forget(n); end_joining(n); sealed[n] = 0; seen[n] = 0; left[n] = 0;
       sent_by[n] = 0; sent_of[n] = 0; sent[n] = 0;
       original[n] = 0; leads[n] = 0; under_way[n] = 0; subscribers[n] = 0; due[n] = 0 }
  od
}

proctype front_end() {
  byte next;                 /* who is sealed next; 0: nothing is to be done */
  byte best;
end:
  do
  :: atomic { next == 0 && sure[home] -> next = 1 }
  :: atomic { next != 0 && next < NODES ->
       if
       :: member[next] ->
            seal(next, epoch + 1);
            if
            :: live[next] && best == 0 -> best = next
#ifdef CHOOSE_ANY
            :: live[next] && best != 0 -> best = next
#else
            :: live[next] && best != 0 && far(next) > far(best) -> best = next
#endif
            :: else
            fi
       :: else
       fi;
       next++ }
  :: atomic { next == NODES ->
       if
       :: best != 0 && member[best] -> home = best; epoch++
       :: best == 0 && member[1] -> home = 1; epoch++
       :: best == 0 && member[2] -> home = 2; epoch++
       :: best == 0 && member[3] -> home = 3; epoch++
       :: else                                 /* lost since it was chosen: once more */
       fi;
       next = 0; best = 0 }
  od
}

init {
  atomic {
    select(home : 1 .. NODES - 1);
    original[home] = 1; live[home] = true; follows[home] = 1;
    run node(1); run node(2); run node(3); run front_end()
  }
}
