#include "stacks/address_range.h"

#include <sys/mman.h>

namespace luacoro {

address_range::address_range(std::size_t size) noexcept {
  void* memory =
      ::mmap(nullptr, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return;
  // Of twice the size, one aligned half is kept.
  auto* lowest = static_cast<char*>(memory);
  const std::size_t before = -reinterpret_cast<std::uintptr_t>(memory) % size;
  first_ = lowest + before;
  size_ = size;
  if (before > 0) (void)::munmap(lowest, before);
  if (before < size) (void)::munmap(first_ + size, size - before);
}

void address_range::release() noexcept {
  if (size_ > 0) (void)::munmap(first_, size_);
  size_ = 0;
}

}  // namespace luacoro
