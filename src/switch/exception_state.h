// C++ exceptions in flight belong to the context that they fly in, but the C++ runtime keeps them
// per OS thread. A context lays them down when it leaves and takes them up when it comes back.
// Floor 2.
#pragma once

namespace luacoro {

struct exception_state {
  void* caught = nullptr;  // the stack of exceptions whose handlers are active
  unsigned uncaught = 0;   // thrown and not yet caught
  [[nodiscard]] bool any() const noexcept { return caught != nullptr || uncaught != 0; }
};

// Both reach thread-local storage, whose address a compiler may keep: they are never inlined.
[[nodiscard]] exception_state lay_down_exceptions() noexcept;
void take_up_exceptions(exception_state held) noexcept;

}  // namespace luacoro
