// The memory of a node that is a virtual machine of QEMU on this host, as a file: also while the machine stands still.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>

namespace ebb::test {

/// An object in the memory of a machine, whose guest keeps everything where its physical address says, as our images do
/// (docs/boot.md). For whoever may trace QEMU's process. What has ended can be neither read nor written, and is never another
/// process.
class MachineMemory {
 public:
  /// At `address` of the guest, where `mark` stands. QEMU has the machine's memory in one piece, at a multiple of 2 MiB.
  MachineMemory(std::int32_t process, std::uint64_t address, std::uint64_t mark)
      : file_(::open(("/proc/" + std::to_string(process) + "/mem").c_str(), O_RDWR | O_CLOEXEC)) {
    std::ifstream maps("/proc/" + std::to_string(process) + "/maps");
    for (std::string line; place_ == 0 && std::getline(maps, line);) {
      std::uint64_t begin = 0;
      std::uint64_t end = 0;
      if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " rw", &begin, &end) != 2) continue;
      for (std::uint64_t base = (begin + kAlignment - 1) / kAlignment * kAlignment; base + address < end; base += kAlignment) {
        std::uint64_t found = 0;
        if (read_at(base + address, &found, sizeof found) && found == mark) {
          place_ = base + address;
          break;
        }
      }
    }
  }
  ~MachineMemory() { ::close(file_); }
  MachineMemory(MachineMemory&& other) noexcept : file_(std::exchange(other.file_, -1)), place_(other.place_) {}
  MachineMemory& operator=(MachineMemory&&) = delete;

  bool found() const { return place_ != 0; }
  bool read(void* to, std::size_t size) const { return read_at(place_, to, size); }
  bool write(std::size_t offset, const void* from, std::size_t size) const {
    return ::pwrite(file_, from, size, static_cast<off_t>(place_ + offset)) == static_cast<ssize_t>(size);
  }

 private:
  static constexpr std::uint64_t kAlignment = 2 << 20;

  bool read_at(std::uint64_t place, void* to, std::size_t size) const {
    return ::pread(file_, to, size, static_cast<off_t>(place)) == static_cast<ssize_t>(size);
  }

  int file_;
  std::uint64_t place_ = 0;
};

}  // namespace ebb::test
