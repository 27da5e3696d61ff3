#include "switch/exception_state.h"

#include <cxxabi.h>

namespace luacoro {
namespace {

// Itanium C++ ABI: Exception Handling, 2.2.2.
struct exception_globals {
  void* caught;
  unsigned uncaught;
};

exception_globals& globals() noexcept {
  return *reinterpret_cast<exception_globals*>(abi::__cxa_get_globals());
}

}  // namespace

[[gnu::noinline]] exception_state lay_down_exceptions() noexcept {
  exception_globals& now = globals();
  const exception_state held{now.caught, now.uncaught};
  if (held.any()) [[unlikely]]
    now = {nullptr, 0};
  return held;
}

[[gnu::noinline]] void take_up_exceptions(exception_state held) noexcept {
  globals() = {held.caught, held.uncaught};
}

}  // namespace luacoro
