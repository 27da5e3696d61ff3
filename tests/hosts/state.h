// A host program's own Lua state, in which `require "coro"` works.
//
// Whatever Lua allocates is counted and can be made to fail. The test fails if something has
// written beyond it, or if closing the state, at the latest by the destructor, leaves anything.
#pragma once

#include <cstddef>
#include <string>

#include "base/lua_version.h"

namespace luacoro::hosts {

// Which allocations fail.
enum class failing {
  once,          // the n-th: from 5.2 on Lua collects garbage and tries again, which works
  twice,         // and the next one, so that that is in vain
  from_there_on  // no memory for whoever handles the error, either
};

class memory {
 public:
  // Counted from now on. Blocks can always be made smaller, which Lua relies on.
  void fail(failing how, long nth) noexcept;
  void work_again() noexcept { first_ = 0; }
  [[nodiscard]] bool has_failed() const noexcept { return has_failed_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  // How often a block was asked for or made larger, smaller or free.
  [[nodiscard]] std::size_t calls() const noexcept { return calls_; }

  static void* allocate(void* self, void* block, std::size_t, std::size_t wanted) noexcept;

 private:
  [[nodiscard]] bool fails_now() noexcept;

  std::size_t bytes_ = 0, calls_ = 0;
  long made_ = 0, first_ = 0, last_ = 0;
  bool has_failed_ = false;
};

class state {
 public:
  state();
  ~state() { close(); }
  state(const state&) = delete;
  state& operator=(const state&) = delete;
  void close();

  // Requires coro and sets how threads that may be unmounted are suspended: "mounted", as long as
  // they are few, or "unmounted". Chunks have `coro`, `fixture`, `in_sort(f)`, which calls f in a C
  // function, and `expect(text, ...)`, the values with a space between.
  void require_coro(const std::string& suspension = "mounted");
  // Runs a chunk; the error that it ends in, or "".
  std::string run(const std::string& chunk);
  // What an expression gives.
  long integer(const std::string& expression);
  void set_function(const char* name, lua_CFunction function);
  // LuaJIT's compiler, which does not survive it where memory runs out.
  void switch_compiler_off();

  memory used;
  lua_State* L;
};

// What a call ended in: the error, or "".                                        L: [-0..1, +0]
std::string error_of(lua_State* L, int status);

// Does the program take the time to try everything? Not in `./dev test`.
bool is_thorough();

// Do Lua's errors unwind C++ frames, and does pcall catch C++ exceptions? So it is on LuaJIT and
// where Lua is built as C++.
bool errors_are_exceptions();

// Of this process: address space taken; what of it is in memory; the number of mappings.
std::size_t mapped_bytes();
// By less than that it may differ where nothing is left: a sanitizer maps 8 MB for itself, once,
// and valgrind some dozens.
inline constexpr std::size_t no_c_stack =
    lua::needed_stack_size + (std::size_t{CORO_MEGABYTES_OF_TOOL} << 20);
std::size_t resident_bytes();
std::size_t mappings();

}  // namespace luacoro::hosts
