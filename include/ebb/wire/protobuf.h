// Protobuf messages as arguments and results. Included by whoever uses them, so that nobody else needs protobuf; the program
// links it (libprotobuf-lite will do).
#pragma once

#include <google/protobuf/message_lite.h>

#include <concepts>
#include <cstddef>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

#include "ebb/wire/codec.h"

namespace ebb::wire {

/// The full name of a message, as its .proto file says: "shop.Order". Part of the ids of the methods that take or give it, so
/// it must be known to the compiler, which generated code does not tell. To be specialized for each type that travels:
///
///     template <> inline constexpr std::string_view ebb::wire::message_name<shop::Order> = "shop.Order";
template <class Message>
inline constexpr std::string_view message_name = {};

/// A length and the message's serialized form [Protocol Buffers, "Encoding"]: fields that one side does not know are kept, as
/// protobuf promises, so that the two sides may have different versions of the message.
template <class T>
  requires std::derived_from<T, google::protobuf::MessageLite>
struct Codec<T> {
  static_assert(!message_name<T>.empty(), "name the protobuf message: "
                                          "template <> inline constexpr std::string_view ebb::wire::message_name<T> = \"package.Message\";");
  static constexpr std::size_t kLeastBytes = 4;
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept {
    return fnv1a(">", fnv1a(message_name<T>, fnv1a("protobuf<", hash)));
  }
  /// Throws std::length_error from 2 GiB on, which no frame could carry.
  static void write(Writer& writer, const T& message) {
    std::string bytes;
    if (!message.SerializePartialToString(&bytes)) throw std::length_error("a protobuf message of 2 GiB or more does not travel");
    writer.count(bytes.size());
    writer.raw(bytes.data(), bytes.size());
  }
  /// Fails on bytes that are no such message, and on one that lacks a required field (proto2). What the parsed message takes of
  /// memory is not known before it is parsed: it counts as its bytes only.
  static T read(Reader& reader) {
    const std::span<const std::byte> bytes = reader.view(reader.count(1, 1));
    T message;
    const bool fits = bytes.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max());
    if (!fits || !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) reader.fail();
    return message;
  }
};

}  // namespace ebb::wire
