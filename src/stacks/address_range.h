// Addresses that nobody else has: reserved, never accessible. They serve as names.
// Floor 1. The first one is a multiple of the size, which is a power of two.
#pragma once

#include <cstddef>
#include <cstdint>

namespace luacoro {

class address_range {
 public:
  explicit address_range(std::size_t size) noexcept;  // false if there is no room
  ~address_range() { release(); }
  address_range(const address_range&) = delete;
  address_range& operator=(const address_range&) = delete;

  explicit operator bool() const noexcept { return first_ != nullptr; }
  // The names stay what they are, but somebody else may get the addresses from here on.
  void release() noexcept;

  [[nodiscard]] void* name(std::size_t number) const noexcept { return first_ + number; }
  // The number of a name; something beyond the size for any other address.
  [[nodiscard]] std::size_t number(const void* name) const noexcept {
    return reinterpret_cast<std::uintptr_t>(name) - reinterpret_cast<std::uintptr_t>(first_);
  }

 private:
  char* first_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace luacoro
