#!/usr/bin/env python3
"""Bugs put in on purpose, which the simulator must find.

    mutations.py list                       NAME|FILE|SCENARIO|NODES|VIOLATION;... of all
    mutations.py write NAME TREE FILE       the source file of TREE that NAME changes, changed, to FILE
    mutations.py table                      all, for docs/simulation.md
    mutations.py check FILE                 fails if the table in FILE is another

Each replaces texts that must stand in its file exactly once, so that a mutation that no longer fits is noticed.
"""
import dataclasses
import pathlib
import sys


@dataclasses.dataclass(frozen=True)
class Mutation:
    """What the bug is, where and how it is put in, and the text of the violation by which it must be found."""
    name: str
    what: str
    file: str
    changes: list
    violation: str
    scenario: str = "kinds"
    nodes: int = 5


MUTATIONS = [
    Mutation(
        "answers_without_lease",
        "a node answers although its lease has run out",
        "src/object/node_link.cc",
        [
            ("  const NodeLink* link = node_link();\n"
             "  if (link == nullptr || link->has_lease()) return;\n"
             "  throw ErrorException(Error::refusal(Errc::moved,",
             "  const NodeLink* link = node_link();\n"
             "  if (link != nullptr) return;\n"
             "  throw ErrorException(Error::refusal(Errc::moved,"),
            ("  if (link == nullptr || link->has_lease()) return;\n"
             "  throw ErrorException(Error(Errc::node_gone,",
             "  if (link != nullptr) return;\n"
             "  throw ErrorException(Error(Errc::node_gone,"),
        ],
        "no counter could have given"),
    Mutation(
        "makes_homes_anew_at_once",
        "not waiting until a lost node has surely ended",
        "src/node/home_keeper.cc",
        [
            ("lease_end = last_heard + kLeaseEnds;",
             "lease_end = last_heard - kLeaseEnds;"),
        ],
        "no counter could have given"),
    Mutation(
        "homes_need_no_directory",
        "a core believes itself the home without the directory's word",
        "src/object/home.cc",
        [
            ("  if (home.node == node && home.core == core) return home.epoch;",
             "  if (home.epoch != 0) return home.epoch;"),
        ],
        "no counter could have given"),
    Mutation(
        "lease_counts_from_the_answer",
        "so it is longer than the front end believes",
        "src/node/backend_membership.cc",
        [
            ("if (heard) extend_lease(sent);",
             "if (heard) extend_lease(std::max(sent, platform::Clock::now() + std::chrono::seconds(2)));"),
        ],
        "no counter could have given"),
    Mutation(
        "replicas_are_told_later",
        "a write is answered before all replicas have it",
        "src/object/original.cc",
        [
            ("everywhere = std::min(everywhere, each.acknowledged);",
             "everywhere = std::max(everywhere, each.acknowledged);"),
        ],
        "saw write"),
    Mutation(
        "old_replicas_stay",
        "a new home does not drop replicas of the old one",
        "src/object/replica.cc",
        [
            ("if (mine.stage == Replica::Stage::live && mine.epoch < home.epoch)",
             "if (mine.epoch > home.epoch)"),
        ],
        "saw write"),
    Mutation(
        "replicas_outlive_the_lease",
        "they are not dropped when the lease ends",
        "src/node/core_watch.cc",
        [
            ("if (!valid && std::exchange(part.dropped_at, end) != end) NodeTable::instance().drop_caches();",
             "static_cast<void>(valid);"),
        ],
        "saw write"),
    Mutation(
        "a_lost_connection_loses_its_node",
        "a member is not asked again when a connection to it was lost",
        "src/node/front_end_membership.cc",
        [
            ("    if (there.code() != Errc::node_gone) co_return;\n",
             "    static_cast<void>(there);\n"),
        ],
        "only had its connections reset", scenario="members"),
    Mutation(
        "searches_do_not_pause",
        "a member is asked again at once each time, as often as there may have been connections with it",
        "src/node/front_end_membership.cc",
        [
            ("  Search search(most_connections_with(member));\n",
             "  std::size_t left = most_connections_with(member);\n"),
            ("    again = co_await search.again();\n",
             "    again = --left != 0;\n"),
        ],
        "a node was lost", scenario="moves", nodes=3),
    Mutation(
        "differences_leave_out_who_leaves",
        "members hear of a list in which somebody is asked to leave, but not of whom",
        "src/node/front_end_membership.cc",
        [
            ("    found->leaving = true;\n"
             "    note_change(member);\n",
             "    found->leaving = true;\n"
             "    ++version_;\n"),
        ],
        "a partition was lost", scenario="moves", nodes=3),
    Mutation(
        "a_stuck_core_goes_unnoticed",
        "a node sends heartbeats although one of its cores does not come back",
        "src/node/backend_membership.cc",
        [
            ("  if (!watch_.all_tick()) co_return co_await beat_after(CoreWatch::kTick);\n",
             ""),
        ],
        "does not come back was not lost", scenario="members"),
    Mutation(
        "a_node_has_no_lease_until_all_know_it",
        "a node that joins sends heartbeats when the front end has told all others of it",
        "src/node/backend_membership.cc",
        [
            ("  if (changes.own_is_listed) begin_beats();\n",
             ""),
        ],
        "does not answer while another stands still", scenario="members"),
    Mutation(
        "leases_of_the_lost_are_forgotten",
        "a new home of replicas does not outlast them",
        "src/object/replica.cc",
        [
            ("if (fence.leases_end > platform::Duration::zero())",
             "if (fence.leases_end < platform::Duration::zero())"),
        ],
        "saw write", nodes=3),
    Mutation(
        "writes_outlast_no_lost_replica",
        "the home forgets a replica as soon as its node is no member",
        "src/object/fence.cc",
        [
            ("  co_await sleep_until(counts ? std::min(latest, platform::Clock::now() + fence.leases_end) : latest);\n",
             "  if (!counts) co_await sleep_until(latest);\n"),
        ],
        "saw write", nodes=7),
    Mutation(
        "an_end_needs_no_answer",
        "`destroy` takes a lost connection for the end of the object there",
        "src/node/elsewhere.cc",
        [
            ("if (ended || (ended.code() != Errc::node_gone && ended.code() != Errc::unavailable)) co_return ended;",
             "if (ended.code() == Errc::node_gone) ended = Result<void>();\n"
             "    co_return ended;"),
        ],
        "are left", scenario="life"),
    Mutation(
        "ids_have_no_grace",
        "an id is given out again as soon as its object has ended",
        "src/object/memory_directory.cc",
        [
            ("quarantine_(reuse) {}",
             "quarantine_(IdReuse{.grace = {}, .clock = reuse.clock}) {}"),
        ],
        "gave its id away", scenario="life"),
    Mutation(
        "parts_are_carried_out_again",
        "a node runs its part of a collective call for everyone who asks",
        "src/object/collective_service.cc",
        [
            ("if (const auto found = parts_.find(key); found != parts_.end()) {",
             "if (const auto found = parts_.end(); found != parts_.end()) {"),
            ("  const auto found = parts_.find(own.key);\n"
             "  if (!ran)",
             "  const auto found = parts_.try_emplace(own.key, std::make_shared<Own>(own.key, 0)).first;\n"
             "  if (!ran)"),
        ],
        "ran twice on node", scenario="collectives", nodes=14),
    Mutation(
        "a_lost_node_takes_those_below_along",
        "nobody asks those below a lost node",
        "src/object/collective.cc",
        [
            ("std::vector<Answer> parts = co_await ask_all(request, below, options);",
             "std::vector<Answer> parts;"),
        ],
        "nodes and lost", scenario="collectives", nodes=14),
    Mutation(
        "moving_partitions_go_on_answering",
        "the old owner takes calls while its state is on the way",
        "src/object/partition.cc",
        [
            ("return found == mine.held.end() || found->second->frozen ? nullptr",
             "return found == mine.held.end() ? nullptr"),
        ],
        "no counter could have given", scenario="moves", nodes=3),
    Mutation(
        "representatives_do_not_end",
        "`destroy` takes them out of their slots only",
        "src/object/node_table_end.cc",
        [
            ("  co_await on_core(Core::current().index(), finish);\n"
             "  co_return true;\n",
             "  static_cast<void>(finish);\n"
             "  co_return true;\n"),
        ],
        "are left"),
    Mutation(
        "ends_wait_for_no_calls",
        "an object ends while calls are under way on it",
        "src/object/node_table_end.cc",
        [
            ("  bool ended = co_await calls_ended(id, platform::Clock::now() + calls_limit);\n",
             "  bool ended = true;\n"),
        ],
        "an instance ended in the middle", scenario="life"),
    Mutation(
        "answered_calls_stay_pending",
        "the slot of an answered call is not free again",
        "src/messenger/connection_calls.cc",
        [
            ("  settle(*pending, std::move(answer));\n"
             "  free_slot(call_id % kMaxPendingCalls);\n",
             "  settle(*pending, std::move(answer));\n"),
        ],
        "pending calls are left"),
    Mutation(
        "calls_of_an_object_have_no_bound",
        "a core takes as many as come",
        "src/object/serve.cc",
        [
            ("if (call.count() > kMaxCallsPerObject)",
             "if (call.count() == 0)"),
        ],
        "calls of an object", scenario="streams"),
    Mutation(
        "ids_do_not_come_back",
        "the grace never begins",
        "src/object/memory_directory.cc",
        [
            ("if (!quarantine_.retire(id)) co_return not_ending(id);",
             "static_cast<void>(id);"),
        ],
        "has not come back", scenario="life"),
    Mutation(
        "names_are_given_twice",
        "the directory does not look whether a name is taken",
        "src/object/memory_directory.cc",
        [
            ("    if (names_.contains(wanted.name)) co_return name_taken(wanted.name);\n",
             ""),
        ],
        "no directory could have said", scenario="names"),
    Mutation(
        "a_home_that_moved_goes_on_answering",
        "it keeps its instance in its slot, and counts it as given away all the same",
        "src/object/home_service.cc",
        [
            ("epoch, table.take_out(id), type, ",
             "epoch, platform::translate(id), type, "),
            ("  given.number = add_given(id, given);\n",
             ""),
            ("if (!mark_drained(id, *given)) co_return",
             "if (mark_drained(id, *given)) co_return"),
        ],
        "ran on an instance that had a successor", scenario="life"),
    Mutation(
        "a_move_settles_the_next_one",
        "what watches over one move of an object decides on a later one",
        "src/object/home_service.cc",
        [
            ("if (!given || given->epoch != epoch) co_return true;",
             "if (!given) co_return true;\n"
             "  epoch = given->epoch;"),
        ],
        "no counter could have given", scenario="moves", nodes=3),
    Mutation(
        "an_old_home_believes_itself",
        "it forgets its instance, but not that it was the home",
        "src/object/home_service.cc",
        [
            ("if (record.code() == Errc::moved) record = co_await table.lookup(id);",
             "if (record.code() == Errc::moved) {\n"
             "    if (const auto mine = remove_given(id, epoch)) mine->type->end_representative(mine->instance, nullptr);\n"
             "    co_return true;\n"
             "  }"),
        ],
        "no counter could have given", scenario="moves", nodes=3),
    Mutation(
        "a_state_is_given_before_its_calls_end",
        "when a second move asks for it",
        "src/object/home_service.cc",
        [
            ("if (!given->drained) co_return",
             "if (given->type == nullptr) co_return"),
        ],
        "an instance ended in the middle", scenario="moves", nodes=3),
    Mutation(
        "states_wait_for_a_minute_only",
        "a state that moved is discarded if nobody has called the object since",
        "src/object/home_service.cc",
        [
            ("[] { discard_abandoned_later(); }",
             "[id] { discard_taken(id); }"),
            ("const auto arrived = co_await kHomeService.on(node, core).call<&HomeService::arrive>(id);",
             "const Result<void> arrived;"),
        ],
        "no counter could have given", scenario="moves", nodes=3),
    Mutation(
        "a_call_is_sent_again_after_a_reset",
        "although it may have run",
        "src/messenger/core_messenger_calls.cc",
        [
            ("  co_return co_await connection->call(std::move(target), deadline, std::move(arguments));",
             "  const CallTarget again = target;\n"
             "  const Bytes copy = arguments;\n"
             "  Result<Bytes> answer = co_await connection->call(std::move(target), deadline, std::move(arguments));\n"
             "  if (answer || answer.code() != Errc::node_gone) co_return answer;\n"
             "  auto reached = co_await reach(again, deadline);\n"
             "  if (!reached) co_return std::move(reached).error();\n"
             "  co_return co_await (*reached)->call(again, deadline, copy);"),
        ],
        "ran twice"),
    Mutation(
        "what_was_sent_counts_as_never_sent",
        "when its connection is lost",
        "src/messenger/connection_calls.cc",
        [
            ("settle(pending, has_begun(pending) ? reason : before);",
             "settle(pending, before);"),
        ],
        "ran twice"),
    Mutation(
        "decisions_that_failed_are_made_again",
        "an order to take a partition that got no answer is given again, to whomever, and nobody is asked who has it",
        "src/object/coordinator.cc",
        [
            ("self->collected_ = co_await self->collect(&view);",
             "self->collected_ = self->known_ || co_await self->collect(&view);"),
        ],
        "a partition was lost", scenario="moves", nodes=3),
    Mutation(
        "lost_partitions_are_called_new",
        "a partition that is made in place of a lost one is not told so",
        "src/object/coordinator.cc",
        [
            ("adoption.lost = adoption.from.node == kNoNode && !fresh_[partition];",
             "adoption.lost = false;"),
        ],
        "was made twice"),
    Mutation(
        "homes_answer_after_their_lease",
        "a call that began within the lease is answered after it",
        "src/object/node_link.cc",
        [
            ("  if (link == nullptr || link->has_lease()) return;\n"
             "  throw ErrorException(Error(Errc::node_gone,",
             "  if (link != nullptr) return;\n"
             "  throw ErrorException(Error(Errc::node_gone,"),
        ],
        "after the lease", scenario="front_end", nodes=4),
    Mutation(
        "homes_are_given_without_a_look",
        "the directory does not compare the epoch",
        "src/object/memory_directory.cc",
        [
            ("    if (record.epoch != epoch) {\n",
             "    if (epoch == 0) {\n"),
        ],
        "no directory could have said", scenario="names"),
    Mutation(
        "partitions_are_forgotten_before_they_are_copied",
        "the old owner's copy goes while the state is still on its way",
        "src/object/partition_service.cc",
        [
            ("  const auto state = co_await fetch_parcel(**parcel);\n",
             "  if (const Errc taken = co_await take_last_copy(id, round, adoption); taken != Errc::ok) co_return taken;\n"
             "  const auto state = co_await fetch_parcel(**parcel);\n"),
            ("  if (const Errc taken = co_await take_last_copy(id, round, adoption); taken != Errc::ok) co_return taken;\n"
             "  // No wait",
             "  // No wait"),
        ],
        "a partition was lost", scenario="moves", nodes=3),
    Mutation(
        "leased_ids_are_known_late",
        "who looks an object up before its maker has entered it finds none",
        "src/node/leasing_directory.cc",
        [
            ("    if (holder == kNoNode) return store().lookup(id);\n",
             "    if (holder != this_node()) return store().lookup(id);\n"),
        ],
        "is said not to exist", scenario="life"),
    Mutation(
        "streams_end_before_their_last_items",
        "what is left when a stream ends is not sent any more",
        "src/object/stream.cc",
        [
            ("  batch.items = std::exchange(items, 0);\n",
             "  batch.items = ended ? 0 : items;\n"
             "  items = 0;\n"),
        ],
        "the stream ended after", scenario="streams"),
    Mutation(
        "a_step_is_run_again_after_a_reset",
        "although it may have run",
        "src/object/encoded_call.cc",
        [
            ("      if (!left && (!was_turned_away(answer) ||",
             "      const bool again = was_turned_away(answer) || answer.code() == Errc::node_gone;\n"
             "      if (!left && (!again ||"),
        ],
        "step ran twice", scenario="streams"),
    Mutation(
        "the_living_are_called_lost",
        "a lost connection counts as a lost node in a call of everyone",
        "src/object/collective.cc",
        [
            ("    if (!is_member(child.node) && cluster_view_version() >= request->view) break;\n",
             "    break;\n"),
        ],
        "which lives", scenario="collectives", nodes=14),
    Mutation(
        "a_leaver_takes_its_replicas_along",
        "a node that leaves does not wait until homes that have no replica of their own have what it has",
        "src/node/services.cc",
        [
            ("  const std::size_t homes = co_await bring_replicas_home(give_up);\n",
             "  const std::size_t homes = 0;\n"),
        ],
        "though every node left in order", scenario="moves", nodes=3),
    Mutation(
        "replicas_carry_out_writes_twice",
        "a replica runs each write that is sent to it once more",
        "src/object/replica.cc",
        [
            ("    }(method->invoke(replica.value, std::move(write.arguments), &context), &done);\n",
             "    }(method->invoke(replica.value, Bytes(write.arguments), &context), &done);\n"
             "    done.reset();\n"
             "    [](task<Result<Bytes>> work, std::optional<Errc>* ended) -> Detached {\n"
             "      const Result<Bytes> answer = co_await std::move(work);\n"
             "      *ended = answer.code();\n"
             "    }(method->invoke(replica.value, std::move(write.arguments), &context), &done);\n"),
        ],
        "was carried out twice"),
    Mutation(
        "writes_are_run_and_sent_twice",
        "the home does both, as if each had been asked for twice",
        "src/object/original.cc",
        [
            ("  log_depth_.set(log_.size());\n"
             "  if (caller.trace.present())",
             "  log_.push_back(log_.back());\n"
             "  ++writes_;\n"
             "  if (caller.trace.present())"),
            ("  Result<Bytes> answer = co_await method.invoke(value_, std::move(arguments), caller.context);\n",
             "  static_cast<void>(co_await method.invoke(value_, Bytes(arguments), caller.context));\n"
             "  Result<Bytes> answer = co_await method.invoke(value_, std::move(arguments), caller.context);\n"),
        ],
        "was carried out twice"),
    Mutation(
        "replicas_begin_with_the_last_write",
        "of those that come together",
        "src/object/replica.cc",
        [
            ("  for (std::size_t at = static_cast<std::size_t>(replica.writes + 1 - first); at < writes.size(); ++at) {\n",
             "  if (first == replica.writes + 1 && writes.size() > 1) std::rotate(writes.begin(), writes.end() - 1, writes.end());\n"
             "  for (std::size_t at = static_cast<std::size_t>(replica.writes + 1 - first); at < writes.size(); ++at) {\n"),
        ],
        "was carried out in another order"),
    Mutation(
        "homes_are_made_twice",
        "a core makes the instance, and another one that it ends at once",
        "src/object/node_table.cc",
        [
            ("    if (other != nullptr) note_implemented(id, entry, other);\n",
             "    if (other != nullptr) note_implemented(id, entry, other);\n"
             "    if (other == nullptr && entry.type->policy == \"remade_home\") {\n"
             "      entry.type->end_representative(entry.type->make_representative(id, entry.root), entry.root);\n"
             "    }\n"),
        ],
        "was made twice in epoch"),
    Mutation(
        "some_calls_never_end",
        "each 200th call of a home",
        "src/object/encoded_call.cc",
        [
            ("#include \"ebb/async/core.h\"\n",
             "#include \"ebb/async/core.h\"\n"
             "#include \"ebb/async/sleep.h\"\n"),
            ("task<Result<Bytes>> call_home(const TypeDescriptor* type, EncodedCall call) {\n",
             "task<Result<Bytes>> call_home(const TypeDescriptor* type, EncodedCall call) {\n"
             "  static int calls = 0;\n"
             "  if (++calls % 200 == 0) co_await sleep_for(std::chrono::hours(1'000));\n"),
        ],
        "has not ended on"),
    Mutation(
        "dropped_states_are_forgotten",
        "an instance that was dropped begins anew",
        "src/object/node_table_drop.cc",
        [
            ("  shard.dropped[{id, core}] = std::move(state);\n",
             "  if (state.empty()) shard.dropped[{id, core}] = std::move(state);\n"),
        ],
        "found no state", scenario="life"),
    Mutation(
        "swaps_have_no_order",
        "of swaps at once each node keeps the one that came last",
        "src/object/node_table_swap.cc",
        [
            ("  if (swap.number < present.swap.number) return;\n",
             ""),
        ],
        "has two implementations", scenario="life"),
    Mutation(
        "slow_takers_say_nothing",
        "whoever takes the items of a stream is heard of only when it asks for more",
        "src/object/stream.cc",
        [
            ("  if (reported_ != taken_) send_taking(node_, core_, handle_);\n",
             "  if (reported_ > taken_) send_taking(node_, core_, handle_);\n"),
        ],
        "that was taken slowly ended", scenario="streams"),
    Mutation(
        "what_is_told_to_all_ends_at_the_first",
        "nodes pass on no call that is not answered",
        "src/object/collective.cc",
        [
            ("    task<void> others = send_on(*shared, std::move(stops), options);\n",
             "    task<void> others = send_on(*shared, {}, options);\n"),
        ],
        "what was told to all did not come", scenario="collectives", nodes=14),
]


def mutated(mutation, tree):
    text = (pathlib.Path(tree) / mutation.file).read_text()
    for old, new in mutation.changes:
        if text.count(old) != 1:
            sys.exit(f"mutation {mutation.name}: its text stands {text.count(old)} times in {mutation.file}; "
                     "bring tests/sim/mutations.py up to date")
        text = text.replace(old, new)
    return text


def table():
    lines = ["| bug | found by | with the words |", "| --- | --- | --- |"]
    for each in MUTATIONS:
        lines.append(f"| `{each.name}`: {each.what} | `{each.scenario}`, {each.nodes} backends | {each.violation} |")
    return "\n".join(lines) + "\n"


def main(arguments):
    if arguments == ["list"]:
        print(";".join(f"{each.name}|{each.file}|{each.scenario}|{each.nodes}|{each.violation}" for each in MUTATIONS))
    elif len(arguments) == 4 and arguments[0] == "write":
        [mutation] = [each for each in MUTATIONS if each.name == arguments[1]]
        pathlib.Path(arguments[3]).write_text(mutated(mutation, arguments[2]))
    elif arguments == ["table"]:
        print(table(), end="")
    elif len(arguments) == 2 and arguments[0] == "check":
        if table() not in pathlib.Path(arguments[1]).read_text():
            sys.exit(f"the table of mutations in {arguments[1]} is not that of mutations.py table")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
