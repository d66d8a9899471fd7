// Writes the domain XML. Settings follow what was measured to start fastest: see docs/boot.md.
#include "frontend/nodes/libvirt/domain_xml.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>

namespace ebb::frontend::nodes {
namespace {

// With three and more, QEMU 7.2, when given its devices as JSON as libvirt does, comes up with an image of zeros under
// qboot; the same device as plain options works. Cores beyond share: a node hands packets on to the core they are for.
constexpr std::size_t kMostQueuePairs = 2;

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// 0 if there is no such process.
std::uint64_t start_time_of(std::int64_t pid) {
  const std::string stat = first_line("/proc/" + std::to_string(pid) + "/stat");
  // The second field is a name in parentheses that may itself hold any character: count from the last ')'.
  const auto name_end = stat.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(stat.substr(name_end + 1));
  std::string field;
  for (int number = 3; number <= 22; ++number) fields >> field;
  std::uint64_t value = 0;
  std::from_chars(field.data(), field.data() + field.size(), value);
  return value;
}

std::string boot_id() { return first_line("/proc/sys/kernel/random/boot_id"); }

std::optional<std::string> attribute(std::string_view xml, std::string_view name) {
  for (char quote : {'\'', '"'}) {
    const std::string start = " " + std::string(name) + "=" + quote;
    const auto found = xml.find(start);
    if (found == std::string_view::npos) continue;
    const auto begin = found + start.size();
    const auto end = xml.find(quote, begin);
    if (end == std::string_view::npos) return std::nullopt;
    return std::string(xml.substr(begin, end - begin));
  }
  return std::nullopt;
}

std::string unescape_xml(std::string text) {
  for (auto [entity, character] : {std::pair{"&lt;", "<"}, {"&gt;", ">"}, {"&apos;", "'"}, {"&quot;", "\""},
                                   {"&amp;", "&"}}) {
    const std::string_view from(entity);
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + 1)) {
      text.replace(at, from.size(), character);
    }
  }
  return text;
}

template <class Number>
bool parse_number(const std::optional<std::string>& text, Number& value) {
  if (!text) return false;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  return error == std::errc() && end == text->data() + text->size();
}

}  // namespace

std::string escape_xml(std::string_view text) {
  std::string result;
  for (char character : text) {
    switch (character) {
      case '<': result += "&lt;"; break;
      case '>': result += "&gt;"; break;
      case '&': result += "&amp;"; break;
      case '\'': result += "&apos;"; break;
      case '"': result += "&quot;"; break;
      default: result += static_cast<unsigned char>(character) < 0x20 ? '?' : character;
    }
  }
  return result;
}

std::string domain_xml(const NodeSpec& spec, const DomainSettings& settings) {
  std::ostringstream xml;
  xml << "<domain type='" << (settings.hardware_virtualization ? "kvm" : "qemu") << "'>"
      << "<name>" << escape_xml(settings.name) << "</name>"
      << "<metadata>" << owner_xml(settings.owner) << "</metadata>"
      << "<memory unit='MiB'>" << spec.memory_mib << "</memory>"
      << "<vcpu>" << spec.cores << "</vcpu>"
      << "<os><type arch='x86_64' machine='q35'>hvm</type>"
      << "<loader readonly='yes' type='rom'>/usr/share/qemu/qboot.rom</loader>"
      << "<kernel>" << escape_xml(spec.image.string()) << "</kernel>"
      << "<initrd>" << escape_xml(settings.key_file) << "</initrd>"
      << "<cmdline>" << escape_xml(node_arguments(spec)) << "</cmdline></os>"
      << "<features><acpi/><apic/></features>"
      << "<cpu mode='" << (settings.hardware_virtualization ? "host-passthrough" : "maximum") << "'/>"
      << "<on_poweroff>destroy</on_poweroff><on_reboot>destroy</on_reboot><on_crash>destroy</on_crash>"
      << "<devices><controller type='usb' model='none'/><memballoon model='none'/><audio id='1' type='none'/>"
      << "<interface type='network'><source network='" << escape_xml(settings.network) << "'/>"
      << "<model type='virtio-non-transitional'/><driver queues='" << std::min(spec.cores, kMostQueuePairs) << "'/><rom enabled='no'/>"
      << "<address type='pci' domain='0' bus='0' slot='0x10' function='0'/></interface>"
      << "<serial type='pty'><target port='0'/></serial><console type='pty'><target type='serial' port='0'/></console>"
      << "<panic model='isa'/></devices></domain>";
  return xml.str();
}

std::string owner_xml(const OwnerTag& owner) {
  return "<ebb:owner xmlns:ebb='" + std::string(kMetadataUri) + "' pid='" + std::to_string(owner.pid) +
         "' start-time='" + std::to_string(owner.start_time) + "' boot-id='" + escape_xml(owner.boot_id) +
         "' key-file='" + escape_xml(owner.key_file) + "'/>";
}

Result<OwnerTag> parse_owner_xml(std::string_view xml) {
  OwnerTag owner;
  const auto boot = attribute(xml, "boot-id");
  const auto file = attribute(xml, "key-file");
  if (!parse_number(attribute(xml, "pid"), owner.pid) || !parse_number(attribute(xml, "start-time"), owner.start_time) ||
      !boot || !file) {
    return Error(Errc::malformed, "a domain carries a tag of ours that names no front end");
  }
  owner.boot_id = unescape_xml(*boot);
  owner.key_file = unescape_xml(*file);
  return owner;
}

OwnerTag current_owner() { return {::getpid(), start_time_of(::getpid()), boot_id(), {}}; }

bool is_alive(const OwnerTag& owner) {
  return owner.boot_id == boot_id() && owner.start_time != 0 && owner.start_time == start_time_of(owner.pid);
}

}  // namespace ebb::frontend::nodes
