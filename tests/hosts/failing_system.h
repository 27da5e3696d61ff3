// What the module asks of the system and of the C++ library, made to fail.
//
// This program defines operator new, malloc, mmap, munmap, madvise and mprotect itself; the
// module's calls of them come here, as those of every shared library do. Calls that are not the
// module's pass.
#pragma once

#include <cstddef>

namespace luacoro::hosts {

// The n-th use of operator new from now on fails, by std::bad_alloc; 0: none does.
void fail_new(long nth) noexcept;
// Blocks in use.
std::size_t new_blocks() noexcept;

// How often anything in this process has called operator new, malloc, calloc or realloc, but for
// the exceptions that are thrown: that is how lua_yield works where Lua is built as C++. In builds
// with sanitizers or for valgrind, which have their own malloc, only operator new is counted.
std::size_t allocations() noexcept;

// The n-th mapping from now on and those after it are refused; 0: none is.
void fail_mapping(long nth) noexcept;
void fail_unmapping(bool fails) noexcept;

// How a C stack gets its guard.
enum class guards { as_the_system_can, by_mprotect, refused };
void set_guards(guards how) noexcept;

// Did any fail since the last of the calls above?
bool system_has_failed() noexcept;

}  // namespace luacoro::hosts
