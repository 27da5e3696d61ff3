// One C stack: memory that a coroutine's C frames live on, with a guard below it.
// Floor 1: knows the operating system, not Lua and not how stacks are switched.
//
// The whole size is reserved when it is mapped and committed page by page as it is touched, so a
// large size costs address space only. Running off the low end hits the guard and ends the process.
// Errors: map() gives an empty stack and leaves the cause in errno.
#pragma once

#include <cstddef>

namespace luacoro {

class c_stack {
 public:
  // Stacks whose colours differ start at different offsets: at equal distances from each other
  // their hot ends would compete for the same cache sets.
  static constexpr unsigned colours = 32;

  c_stack() noexcept = default;
  [[nodiscard]] static c_stack map(std::size_t size, unsigned colour) noexcept;
  ~c_stack();

  c_stack(c_stack&& other) noexcept;
  c_stack& operator=(c_stack&& other) noexcept;

  explicit operator bool() const noexcept { return lowest_ != nullptr; }

  // Bytes that frames may use, as asked for, rounded up to whole pages.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  // Memory that was ever touched stays until the stack is unmapped. This gives back what lies
  // beyond so much of it, with whatever is there; it is committed anew when it is touched.
  static constexpr std::size_t kept = std::size_t{32} << 10;
  void give_back_depths() noexcept;
  // Where the first frame goes; frames grow down from here. Aligned to 64 bytes.
  [[nodiscard]] void* start() const noexcept { return start_; }

 private:
  void unmap() noexcept;

  char* lowest_ = nullptr;  // of the mapping: the guard's first byte
  char* start_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace luacoro
