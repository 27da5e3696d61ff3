// C++ exceptions in flight belong to the context that they fly in, but the C++ runtime keeps them
// per OS thread. A context lays them down when it leaves and takes them up when it comes back.
// Floor 2.
#pragma once

namespace luacoro {

// Itanium C++ ABI: Exception Handling, 2.2.2: what __cxa_get_globals gives.
struct exception_state {
  void* caught = nullptr;  // the stack of exceptions whose handlers are active
  unsigned uncaught = 0;   // thrown and not yet caught
};

// Of this OS thread; null until it is asked for. A context may come back on another OS thread, and
// compilers may keep the address of thread-local storage, so this is read before a switch only.
extern constinit thread_local exception_state* exceptions_of_os_thread
    [[gnu::tls_model("initial-exec")]];

// Reads thread-local storage anew: never inlined.
[[nodiscard]] exception_state* find_exceptions() noexcept;

[[nodiscard]] inline bool any_exceptions() noexcept {
  const exception_state* now = exceptions_of_os_thread;
  if (now == nullptr) [[unlikely]]
    now = find_exceptions();
  return now->caught != nullptr || now->uncaught != 0;
}

}  // namespace luacoro
