#include "switch/context.h"

#include <utility>

namespace luacoro {

[[gnu::noinline]] void switch_with_exceptions(context& from, context& to) noexcept {
  const exception_state held = std::exchange(*find_exceptions(), {});
  switch_as_told(from, to);
  *find_exceptions() = held;
}

}  // namespace luacoro
