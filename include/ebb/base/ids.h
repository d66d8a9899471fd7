// Strong types for the three things the system counts: nodes, cores, objects.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace ebb {

/// A node of the cluster, unique for the life of the front end and never reused. The front end is node 0.
enum class NodeId : std::uint32_t {};

/// A core of one node, counted from 0. One event loop, one thread in glibc's eyes.
enum class CoreIndex : std::uint16_t {};

inline constexpr NodeId kFrontEndNode{0};     ///< the node that the application's ebb_main() runs on
inline constexpr NodeId kNoNode{0xffff'ffff};  ///< not known, or none
inline constexpr CoreIndex kAnyCore{0xffff};   ///< whichever core takes the call

/// How many cores a node may have; larger machines use the first kMaxCores.
inline constexpr std::size_t kMaxCores = 64;

/// An object's name for the whole cluster and, unchanged, its index in every core's translation table.
/// Valid values lie in (0, kMaxObjects); 0 is "no object". Ids below kFirstApplicationObject belong to the runtime.
class ObjectId {
 public:
  constexpr ObjectId() noexcept = default;
  constexpr explicit ObjectId(std::uint32_t index) noexcept : index_(index) {}
  constexpr std::uint32_t index() const noexcept { return index_; }  ///< the slot in every table
  constexpr bool valid() const noexcept;                            ///< whether it may name an object
  friend constexpr auto operator<=>(ObjectId, ObjectId) noexcept = default;

 private:
  std::uint32_t index_ = 0;
};

/// Slots of a translation table: 8 bytes of address space each, memory only for the pages that are touched.
inline constexpr std::uint32_t kMaxObjects = 1u << 24;
/// Ids below it belong to the runtime, those from here to kFirstDynamicObject to whom an application names them.
inline constexpr ObjectId kFirstApplicationObject{64};
/// Those of the runtime from here on carry data of applications, and have no priority.
inline constexpr ObjectId kFirstBulkObject{56};
inline constexpr ObjectId kFirstDynamicObject{1024};  ///< from here on the directory gives them out

constexpr bool ObjectId::valid() const noexcept { return index_ != 0 && index_ < kMaxObjects; }

/// The number that an id or an index is.
constexpr std::uint32_t to_number(NodeId id) noexcept { return static_cast<std::uint32_t>(id); }
constexpr std::uint16_t to_number(CoreIndex core) noexcept { return static_cast<std::uint16_t>(core); }

}  // namespace ebb

template <>
struct std::hash<ebb::ObjectId> {
  std::size_t operator()(ebb::ObjectId id) const noexcept { return id.index(); }
};
