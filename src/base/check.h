// Invariants that hold or stop the program with a sentence, in release builds too.
// Floor 0: knows only the standard library.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace luacoro {

[[noreturn, gnu::cold]] inline void stop_program(const char* sentence, const char* file,
                                                 int line) noexcept {
  std::fprintf(stderr, "coro: %s (%s:%d)\n", sentence, file, line);
  std::abort();
}

}  // namespace luacoro

#define LUACORO_CHECK(holds, sentence) \
  ((holds) ? void(0) : ::luacoro::stop_program(sentence, __FILE__, __LINE__))
