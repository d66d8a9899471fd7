// Bytes from a peer, read as the arguments of a method that takes one of everything. See round_trip.h.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/wire/codec.h"
#include "tests/fuzz/wire/round_trip.h"

namespace {

enum class Colour : std::uint8_t {};

struct Place {
  std::int32_t x = 0;
  std::optional<std::string> name;
};

class Account {
  std::int64_t cents_ = 0;
  std::string owner_;

 public:
  using fields = ebb::fields<&Account::cents_, &Account::owner_>;
};

using Choice = std::variant<std::monostate, std::vector<Account>, std::string, ebb::Result<std::string>>;
using Views = std::tuple<ebb::wire::Text, ebb::wire::Sequence<std::byte>, ebb::wire::Sequence<std::uint64_t>,
                         ebb::wire::Sequence<Place>>;

using Nested = std::optional<std::optional<std::uint8_t>>;
using Wide = std::array<std::optional<std::vector<std::string>>, 3>;  // 3 bytes here, and 96 there

using Arguments = std::tuple<bool, std::uint8_t, std::int64_t, double, Colour, ebb::ObjectId, std::string,
                             std::vector<std::uint16_t>, std::vector<std::vector<std::string>>, std::set<std::uint32_t>,
                             std::map<std::string, Place>, std::array<Place, 2>, std::optional<std::vector<Place>>>;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using ebb::wire::fuzz::check_round_trip;
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  // The first byte chooses: all of it at once seldom decodes, its parts do.
  switch (data[0] % 16) {
    case 0: check_round_trip<Arguments>(bytes); break;
    case 1: check_round_trip<std::vector<std::vector<std::string>>>(bytes); break;
    case 2: check_round_trip<std::map<std::string, Place>>(bytes); break;
    case 3: check_round_trip<std::set<std::uint32_t>>(bytes); break;
    case 4: check_round_trip<std::optional<std::vector<Place>>>(bytes); break;
    case 5: check_round_trip<std::vector<Choice>>(bytes); break;
    case 6: check_round_trip<std::vector<ebb::Result<Account>>>(bytes); break;
    case 7: check_round_trip<Views>(bytes); break;
    case 8: check_round_trip<std::unordered_set<std::uint16_t>>(bytes); break;
    case 9: check_round_trip<std::unordered_map<std::string, Nested>>(bytes); break;
    case 10: check_round_trip<std::vector<bool>>(bytes); break;
    case 11: check_round_trip<std::vector<Nested>>(bytes); break;
    case 12: check_round_trip<std::vector<std::pair<Colour, std::chrono::sys_seconds>>>(bytes); break;
    case 13: check_round_trip<std::vector<std::optional<std::string>>>(bytes); break;
    case 14: check_round_trip<std::map<std::uint8_t, std::vector<Wide>>>(bytes); break;
    default: check_round_trip<std::array<Place, 2>>(bytes); break;
  }
  return 0;
}
