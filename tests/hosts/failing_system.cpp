#include "hosts/failing_system.h"

#include <dlfcn.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>

namespace luacoro::hosts {
namespace {

std::atomic<long> until_new_fails = 0, until_mapping_fails = 0;
std::atomic<std::size_t> blocks = 0, allocated = 0;
std::atomic<bool> unmapping_fails = false, has_failed = false;
std::atomic<guards> guarded = guards::as_the_system_can;

int refuse(int cause) noexcept {
  has_failed = true;
  errno = cause;
  return -1;
}

template <typename Function>
Function* system_function(const char* name) noexcept {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

void fail_new(long nth) noexcept {
  until_new_fails = nth;
  has_failed = false;
}

std::size_t new_blocks() noexcept { return blocks; }

std::size_t allocations() noexcept { return allocated; }

void fail_mapping(long nth) noexcept {
  until_mapping_fails = nth;
  has_failed = false;
}

void fail_unmapping(bool fails) noexcept {
  unmapping_fails = fails;
  has_failed = false;
}

void set_guards(guards how) noexcept {
  guarded = how;
  has_failed = false;
}

bool system_has_failed() noexcept { return has_failed; }

}  // namespace luacoro::hosts

using namespace luacoro::hosts;

// ThreadSanitizer uses its own before this program could find the system's.
#if !defined(__SANITIZE_THREAD__)

void* operator new(std::size_t size) {
  if (until_new_fails != 0 && --until_new_fails == 0) {
    has_failed = true;
    throw std::bad_alloc();
  }
  ++allocated;
  void* block = std::malloc(size != 0 ? size : 1);
  if (block == nullptr) throw std::bad_alloc();
  ++blocks;
  return block;
}

void operator delete(void* block) noexcept {
  if (block != nullptr) --blocks;
  std::free(block);
}

void operator delete(void* block, std::size_t) noexcept { operator delete(block); }

extern "C" {

#if CORO_COUNTS_MALLOC
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t n, std::size_t size);
void* __libc_realloc(void* block, std::size_t size);

void* malloc(std::size_t size) noexcept {
  ++allocated;
  return __libc_malloc(size);
}

void* calloc(std::size_t n, std::size_t size) noexcept {
  ++allocated;
  return __libc_calloc(n, size);
}

void* realloc(void* block, std::size_t size) noexcept {
  ++allocated;
  return __libc_realloc(block, size);
}

void* __cxa_allocate_exception(std::size_t size) noexcept {
  static auto* const real = system_function<void*(std::size_t)>("__cxa_allocate_exception");
  void* exception = real(size);
  --allocated;
  return exception;
}
#endif

// Only the module reserves without committing.
void* mmap(void* at, std::size_t size, int access, int flags, int file, off_t offset) noexcept {
  static auto* const real = system_function<decltype(mmap)>("mmap");
  if ((flags & MAP_NORESERVE) != 0 && until_mapping_fails != 0) {
    if (until_mapping_fails == 1) return refuse(ENOMEM), MAP_FAILED;
    --until_mapping_fails;
  }
  return real(at, size, access, flags, file, offset);
}

// Nothing else in this process is as large.
int munmap(void* at, std::size_t size) noexcept {
  static auto* const real = system_function<decltype(munmap)>("munmap");
  if (unmapping_fails && size > std::size_t{1} << 20) return refuse(ENOMEM);
  return real(at, size);
}

int madvise(void* at, std::size_t size, int advice) noexcept {
  static auto* const real = system_function<decltype(madvise)>("madvise");
  constexpr int guard_install = 102;
  if (advice == guard_install && guarded != guards::as_the_system_can) return refuse(EINVAL);
  return real(at, size, advice);
}

int mprotect(void* at, std::size_t size, int access) noexcept {
  static auto* const real = system_function<decltype(mprotect)>("mprotect");
  if (access == PROT_NONE && guarded == guards::refused) return refuse(ENOMEM);
  return real(at, size, access);
}

}  // extern "C"

#endif
