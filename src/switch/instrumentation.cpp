#include "switch/instrumentation.h"

#if LUACORO_INSTRUMENTED

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#if LUACORO_VALGRIND
#include <valgrind/valgrind.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace luacoro {

#if defined(__SANITIZE_ADDRESS__)
namespace {
thread_local instrumentation* left = nullptr;

// Frames that ended by a jump left their red zones. They are where memory was touched; the shadow
// of all the rest is not worth a visit.
void unpoison(const void* lowest, std::size_t size) noexcept {
  constexpr std::uintptr_t page = 4096, step = 4096 * page;
  unsigned char is_touched[step / page];
  const auto end = reinterpret_cast<std::uintptr_t>(lowest) + size;
  for (auto from = reinterpret_cast<std::uintptr_t>(lowest) / page * page; from < end;
       from += step) {
    const std::size_t length = std::min(step, end - from);
    if (::mincore(reinterpret_cast<void*>(from), length, is_touched) != 0) continue;
    for (std::size_t i = 0; i * page < length; ++i) {
      if ((is_touched[i] & 1) != 0)
        __asan_unpoison_memory_region(reinterpret_cast<void*>(from + i * page), page);
    }
  }
}
}  // namespace
#endif

void instrumentation::begin_on(const c_stack& stack) noexcept {
  forget();
  size_ = stack.size();
  lowest_ = static_cast<const char*>(stack.start()) - size_;
  has_stack_ = true;
#if LUACORO_VALGRIND
  stack_id_ = VALGRIND_STACK_REGISTER(lowest_, stack.start());
#endif
#if defined(__SANITIZE_THREAD__)
  fiber_ = __tsan_create_fiber(0);
#endif
}

void instrumentation::forget() noexcept {
  if (!std::exchange(has_stack_, false)) return;
#if LUACORO_VALGRIND
  VALGRIND_STACK_DEREGISTER(stack_id_);
#endif
#if defined(__SANITIZE_ADDRESS__)
  unpoison(lowest_, size_);
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_destroy_fiber(fiber_);
#endif
}

// Not instrumented itself: it is entered in one fiber and left in another.
[[gnu::noinline, gnu::no_sanitize_thread]] void instrumentation::leave_for(
    [[maybe_unused]] instrumentation& to) noexcept {
#if defined(__SANITIZE_ADDRESS__)
  left = this;
  __sanitizer_start_switch_fiber(&fake_stack_, to.lowest_, to.size_);
#endif
#if defined(__SANITIZE_THREAD__)
  if (!has_stack_) fiber_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(to.fiber_, 0);
#endif
}

[[gnu::noinline]] void instrumentation::arrive() noexcept {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(std::exchange(fake_stack_, nullptr), &left->lowest_,
                                  &left->size_);
#endif
}

}  // namespace luacoro

#endif
