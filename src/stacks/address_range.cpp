#include "stacks/address_range.h"

#include <sys/mman.h>

namespace luacoro {

address_range::address_range(std::size_t size) noexcept : size_(size) {
  void* memory =
      ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory != MAP_FAILED) first_ = static_cast<char*>(memory);
}

void address_range::release() noexcept {
  if (first_ != nullptr) (void)::munmap(first_, size_);
  first_ = nullptr;
}

}  // namespace luacoro
