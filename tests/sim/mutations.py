#!/usr/bin/env python3
"""Bugs put in on purpose, which the simulator must find.

    mutations.py list                       NAME|FILE|SCENARIO|NODES;... of all
    mutations.py write NAME TREE FILE       the source file of TREE that NAME changes, changed, to FILE

Each replaces a text that must stand in its file exactly once, so that a mutation that no longer fits is noticed.
"""
import pathlib
import sys

MUTATIONS = {
    "answers_without_lease": (
        "src/object/node_link.cc",
        [("""  const NodeLink* link = node_link();
  if (link == nullptr || link->has_lease()) return;
  throw ErrorException(Error(Errc::moved,""",
          """  const NodeLink* link = node_link();
  if (link != nullptr) return;
  throw ErrorException(Error(Errc::moved,"""),
         ("""  if (link == nullptr || link->has_lease()) return;
  throw ErrorException(Error(Errc::node_gone,""",
          """  if (link != nullptr) return;
  throw ErrorException(Error(Errc::node_gone,""")]),
    "makes_homes_anew_at_once": (
        "src/node/home_keeper.cc",
        [("lease_end = last_heard + kLeaseEnds;", "lease_end = last_heard - kLeaseEnds;")]),
    "a_move_settles_the_next_one": (
        "src/object/home_service.cc",
        [("if (!given || given->epoch != epoch) co_return;", "if (!given) co_return;\n    epoch = given->epoch;")]),
    "an_old_home_believes_itself": (
        "src/object/home_service.cc",
        [("if (record.code() == Errc::moved) record = co_await table.lookup(id);",
          "if (record.code() == Errc::moved) {\n"
          "      if (const auto mine = remove_given(id, epoch)) type->end_representative(mine->instance, nullptr);\n"
          "      co_return;\n    }")]),
    "a_state_is_given_before_its_calls_end": (
        "src/object/home_service.cc",
        [("if (!given->drained) {", "if (type == nullptr) {")]),
    "states_wait_for_a_minute_only": (
        "src/object/home_service.cc",
        [("const bool ours = record && record->epoch == epoch && record->home == this_node();", "const bool ours = !record;"),
         ("static_cast<void>(co_await kHomeService.on(node, core).call<&HomeService::arrive>(id));", "static_cast<void>(core);")]),
    "homes_need_no_directory": (
        "src/object/home.cc",
        [("  if (home.node == node && home.core == core) return home.epoch;", "  if (home.epoch != 0) return home.epoch;")]),
    "replicas_are_told_later": (
        "src/object/original.cc",
        [("everywhere = std::min(everywhere, each.acknowledged);", "everywhere = std::max(everywhere, each.acknowledged);")]),
    "old_replicas_stay": (
        "src/object/replica.cc",
        [("if (mine.stage == Replica::Stage::live && mine.epoch < home.epoch)", "if (mine.epoch > home.epoch)")]),
    "replicas_outlive_the_lease": (
        "src/node/node.cc",
        [("if (!lease_.valid()) scope_.spawn(NodeTable::instance().drop_caches());", "static_cast<void>(this);")]),
    "lease_counts_from_the_answer": (
        "src/node/node.cc",
        [("if (heard) extend_lease(sent);", "if (heard) extend_lease(platform::Clock::now() + std::chrono::seconds(2));")]),
    "an_end_needs_no_answer": (
        "src/node/elsewhere.cc",
        [("if (ended || (ended.code() != Errc::node_gone && ended.code() != Errc::unavailable)) co_return ended;",
          "if (ended.code() == Errc::node_gone) ended = Result<void>();\n    co_return ended;")]),
    "ids_have_no_grace": (
        "src/object/memory_directory.cc",
        [("quarantine_(reuse) {}", "quarantine_(IdReuse{.grace = {}, .clock = reuse.clock}) {}")]),
    "parts_are_carried_out_again": (
        "src/object/collective_service.cc",
        [("if (const auto found = parts_.find(key); found != parts_.end()) {", "if (const auto found = parts_.end(); found != parts_.end()) {"),
         ("  const auto found = parts_.find(key);\n  found->second->bytes", "  const auto found = parts_.try_emplace(key, std::make_shared<Own>()).first;\n  found->second->bytes")]),
    "a_lost_node_takes_those_below_along": (
        "src/object/collective.cc",
        [("std::vector<Answer> parts = co_await ask_all(request, below, options);", "std::vector<Answer> parts;")]),
    "moving_partitions_go_on_answering": (
        "src/object/partition.cc",
        [("return found == mine.held.end() || found->second->frozen ? nullptr", "return found == mine.held.end() ? nullptr")]),
    "decisions_that_failed_are_made_again": (
        "src/object/coordinator.cc",
        [("    for (const Adoption& adoption : adoptions) fresh_[adoption.partition] = false;\n    collected_ = false;\n",
          "    for (const Adoption& adoption : adoptions) unsettled_.insert(adoption.partition);\n"),
         ("if (code != Errc::ok && code != Errc::too_large) collected_ = false;",
          "if (code != Errc::ok && code != Errc::too_large) unsettled_.insert(adoptions[at].partition);\n    if (code == Errc::not_found) collected_ = false;")]),
    "representatives_do_not_end": (
        "src/object/node_table_end.cc",
        [("    type->end_representative(representative, entry->root);\n    return nullptr;\n", "    return nullptr;\n")]),
    "ends_wait_for_no_calls": (
        "src/object/node_table_end.cc",
        [("representative == nullptr || calls_under_way(id) != 0) return representative;", "representative == nullptr) return representative;"),
         ("if (!co_await calls_ended(id, platform::Clock::now() + calls_limit)) {", "if (calls_limit < platform::Duration::zero()) {")]),
    "answered_calls_stay_pending": (
        "src/messenger/connection_calls.cc",
        [("  settle(*pending, std::move(answer));\n  free_slot(call_id % kMaxPendingCalls);\n", "  settle(*pending, std::move(answer));\n")]),
    "calls_of_an_object_have_no_bound": (
        "src/object/serve.cc",
        [("if (call.count() > kMaxCallsPerObject) {", "if (call.count() == 0) {")]),
    "ids_do_not_come_back": (
        "src/object/memory_directory.cc",
        [("if (!quarantine_.retire(id)) co_return not_ending(id);", "static_cast<void>(id);")]),
    "names_are_given_twice": (
        "src/object/memory_directory.cc",
        [("    if (names_.contains(wanted.name)) co_return name_taken(wanted.name);\n", "")]),
    "a_home_that_moved_goes_on_answering": (
        "src/object/home_service.cc",
        [("  void* instance = table.take_out(id);\n", "  void* instance = platform::translate(id);\n"),
         ("    moves().given[id] = {here, epoch, instance};\n", "    static_cast<void>(here);\n"),
         ("if (!mark_drained(id, epoch)) co_return", "if (mark_drained(id, epoch)) co_return")]),
    "a_call_is_sent_again_after_a_reset": (
        "src/messenger/core_messenger.cc",
        [("  co_return co_await connection->call(std::move(target), deadline, std::move(arguments));",
          """  const CallTarget again = target;
  const Bytes copy = arguments;
  Result<Bytes> answer = co_await connection->call(std::move(target), deadline, std::move(arguments));
  if (answer || answer.code() != Errc::node_gone) co_return answer;
  auto reached = co_await reach(again.node, deadline);
  if (!reached) co_return std::move(reached).error();
  co_return co_await (*reached)->call(again, deadline, copy);""")]),
    "leases_of_the_lost_are_forgotten": (
        "src/object/replica.cc",
        [("if (fence.leases_end > platform::Duration::zero())", "if (fence.leases_end < platform::Duration::zero())")]),
}

# Those that are found by other clusters than of 5 backends: more than the fan-out, so that a tree has two levels; so few that
# every change of the members moves much of the state.
NODES = {"a_move_settles_the_next_one": 3, "an_old_home_believes_itself": 3, "a_state_is_given_before_its_calls_end": 3,
         "states_wait_for_a_minute_only": 3, "parts_are_carried_out_again": 14, "a_lost_node_takes_those_below_along": 14, "moving_partitions_go_on_answering": 2,
         "decisions_that_failed_are_made_again": 2, "leases_of_the_lost_are_forgotten": 7}

# Those that another scenario than "kinds" finds.
SCENARIOS = {"a_move_settles_the_next_one": "moves", "an_old_home_believes_itself": "moves",
             "a_state_is_given_before_its_calls_end": "moves", "states_wait_for_a_minute_only": "moves",
             "ids_have_no_grace": "life", "names_are_given_twice": "directory", "a_home_that_moved_goes_on_answering": "life", "ids_do_not_come_back": "life", "ends_wait_for_no_calls": "life", "calls_of_an_object_have_no_bound": "streams", "an_end_needs_no_answer": "life", "parts_are_carried_out_again": "everywhere", "a_lost_node_takes_those_below_along": "everywhere"}


def mutated(name, tree):
    source, changes = MUTATIONS[name]
    text = (pathlib.Path(tree) / source).read_text()
    for old, new in changes:
        if text.count(old) != 1:
            sys.exit(f"mutation {name}: its text stands {text.count(old)} times in {source}; bring tests/sim/mutations.py up to date")
        text = text.replace(old, new)
    return text


def main(arguments):
    if arguments == ["list"]:
        print(";".join(f"{name}|{source}|{SCENARIOS.get(name, 'kinds')}|{NODES.get(name, 5)}" for name, (source, _) in MUTATIONS.items()))
    elif len(arguments) == 4 and arguments[0] == "write":
        pathlib.Path(arguments[3]).write_text(mutated(arguments[1], arguments[2]))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
