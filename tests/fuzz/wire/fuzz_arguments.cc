// Bytes from a peer, read as the arguments of a method that takes one of everything. What decodes must encode again to
// the same bytes, as far as they have one form; nothing may take memory out of proportion to the input.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/wire/codec.h"

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

using Arguments = std::tuple<bool, std::uint8_t, std::int64_t, double, Colour, ebb::ObjectId, std::string,
                             std::vector<std::uint16_t>, std::vector<std::vector<std::string>>, std::set<std::uint32_t>,
                             std::map<std::string, Place>, std::array<Place, 2>, std::optional<std::vector<Place>>>;

template <class T>
void check(std::span<const std::byte> bytes) {
  const auto decoded = ebb::wire::decode<T>(bytes);
  if (!decoded) return;
  const auto encoded = ebb::wire::encode(*decoded);
  // Sets and maps come back sorted, in whatever order they came; the length stays.
  if (encoded.size() != bytes.size()) std::abort();
  if (ebb::wire::encode(*ebb::wire::decode<T>(encoded)) != encoded) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  // The first byte chooses: all of it at once seldom decodes, its parts do.
  switch (data[0] % 9) {
    case 0: check<Arguments>(bytes); break;
    case 1: check<std::vector<std::vector<std::string>>>(bytes); break;
    case 2: check<std::map<std::string, Place>>(bytes); break;
    case 3: check<std::set<std::uint32_t>>(bytes); break;
    case 4: check<std::optional<std::vector<Place>>>(bytes); break;
    case 5: check<std::vector<Choice>>(bytes); break;
    case 6: check<std::vector<ebb::Result<Account>>>(bytes); break;
    case 7: check<Views>(bytes); break;
    default: check<std::array<Place, 2>>(bytes); break;
  }
  return 0;
}
