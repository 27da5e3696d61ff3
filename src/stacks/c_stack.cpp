#include "stacks/c_stack.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102  // Linux 6.13
#endif

namespace luacoro {
namespace {

// Wide enough that a frame of ordinary size cannot step over it.
constexpr std::size_t guard_size = std::size_t{64} << 10;
constexpr std::size_t colour_step = 64;  // a cache line
static_assert(guard_size % 4096 == 0 && c_stack::colours * colour_step <= 4096);

std::size_t page_size() noexcept {
  static const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

// A guard that the kernel keeps in the page tables leaves the mapping whole; a protected part
// splits it, and there may be only vm.max_map_count (65,530) of those.
bool install_guard(char* lowest) noexcept {
  return ::madvise(lowest, guard_size, MADV_GUARD_INSTALL) == 0 ||
         ::mprotect(lowest, guard_size, PROT_NONE) == 0;
}

}  // namespace

c_stack c_stack::map(std::size_t size, unsigned colour) noexcept {
  size = (size + page_size() - 1) / page_size() * page_size();
  const std::size_t mapped = guard_size + size + page_size();  // the last page is for the colour
  void* memory = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  c_stack stack;
  if (memory == MAP_FAILED) return stack;
  stack.lowest_ = static_cast<char*>(memory);
  stack.size_ = size;
  stack.start_ = stack.lowest_ + mapped - (colour % colours) * colour_step;
  // A huge page would make two megabytes resident for the few kilobytes in use. Kernels built
  // without huge pages refuse the advice, and need none.
  (void)::madvise(memory, mapped, MADV_NOHUGEPAGE);
  if (!install_guard(stack.lowest_)) {
    const int cause = errno;
    stack.unmap();
    errno = cause;
  }
  return stack;
}

c_stack::~c_stack() { unmap(); }

c_stack::c_stack(c_stack&& other) noexcept
    : lowest_(std::exchange(other.lowest_, nullptr)),
      start_(std::exchange(other.start_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

c_stack& c_stack::operator=(c_stack&& other) noexcept {
  if (this != &other) {
    unmap();
    lowest_ = std::exchange(other.lowest_, nullptr);
    start_ = std::exchange(other.start_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

void c_stack::give_back_depths() noexcept {
  const std::size_t usable = size_ + page_size();
  if (usable <= kept) return;
  (void)::madvise(lowest_ + guard_size, (usable - kept) / page_size() * page_size(), MADV_DONTNEED);
}

void c_stack::unmap() noexcept {
  if (lowest_ == nullptr) return;
  const std::size_t mapped = guard_size + size_ + page_size();
  // Cutting a hole into merged mappings makes one mapping more, which may be one too many. Then the
  // memory goes back and only the addresses stay taken.
  if (::munmap(lowest_, mapped) != 0) (void)::madvise(lowest_, mapped, MADV_DONTNEED);
  lowest_ = start_ = nullptr;
  size_ = 0;
}

}  // namespace luacoro
