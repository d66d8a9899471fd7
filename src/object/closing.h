// Whether this node is about to end.
#pragma once

namespace ebb::detail {

/// It closes: what it still works on for others, nobody waits for it to finish. Until the next set_node_link() to a link.
void note_closing() noexcept;
/// Any core.
bool is_closing() noexcept;

}  // namespace ebb::detail
