#include "switch/exception_state.h"

#include <cxxabi.h>

namespace luacoro {

constinit thread_local exception_state* exceptions_of_os_thread = nullptr;

[[gnu::noinline]] exception_state* find_exceptions() noexcept {
  exceptions_of_os_thread = reinterpret_cast<exception_state*>(abi::__cxa_get_globals());
  return exceptions_of_os_thread;
}

}  // namespace luacoro
