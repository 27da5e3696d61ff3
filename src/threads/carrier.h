// A carrier: a C stack at work. Threads are put on it, one above the other, by lua_resume; the
// lowest is its base. While its innermost thread is suspended, all of them are mounted here.
// Floor 3. The host's own C stack is a carrier too; its base is the main thread.
//
//              running                      suspended                       idle
//   base       the thread lua_resume runs   the same                        null
//   suspended  null                         the innermost; has the ticket   null
//   left_at    -                            where `suspended` left          in the base loop
#pragma once

#include <cstdint>

#include "base/lua_version.h"
#include "stacks/c_stack.h"
#include "switch/context.h"

namespace luacoro {

struct runtime;
struct carrier;

// The function that a suspended thread waits in: what being continued looks like to it.
enum class waiting : std::uint8_t { transfer, ptransfer, yield, resume, wrap, close };
inline constexpr unsigned waiting_kinds = 6;

// Is given `true` and the values, or `false`, the error and a traceback?
constexpr bool returns_status(waiting how) noexcept {
  return how == waiting::ptransfer || how == waiting::resume;
}
// "normal" by the standard's word, because it waits for a thread that it resumed?
constexpr bool is_normal(waiting how) noexcept { return how >= waiting::resume; }

// Does it want the to-be-closed variables of a thread that failed closed?
constexpr bool closes_failed(waiting how) noexcept { return how >= waiting::wrap; }

// Who resumed a thread and waits for it. It holds as long as that very wait lasts; waits are
// numbered and no number comes twice, so a link that holds no more is seen when it is used.
struct resumer_link {
  lua_State* thread = nullptr;
  std::uint64_t wait = 0;
  carrier* on = nullptr;  // where it was mounted when it began to wait
};

struct carrier {
  c_stack stack;    // empty: the host's, or given back
  context left_at;  // what tools know of the stack is forgotten before it is unmapped
  lua_State* suspended = nullptr;
  lua_State* base = nullptr;
  resumer_link resumer;  // of the base
  // While suspended: the number of this wait, what it waits in, and whether it could be unmounted.
  std::uint64_t wait = 0;
  waiting how = waiting::transfer;
  bool is_warm = false;
  bool was_used = false;         // since it was last looked after, idle (collection.h)
  unsigned depth = 0;            // of the resumers that wait for the base, one for the other
  lua_State* mourned = nullptr;  // the base, if its collection is to free this stack
  unsigned closes = 0;           // that run __close metamethods on it, one inside the other
  std::uint64_t was_away = 0;    // switches that the base waited for, unmounted, until it came here
  unsigned index = 0;            // among all carriers; the host is 0
  runtime* home = nullptr;
  struct {
    bool active = false;
    int called_at = 0;  // how deep the function called meanwhile stands; 0: none
    lua::saved_hook before;
  } unwinding;  // of the base (closing.h)
};

// The depth of a thread that is resumed from here now: one more, and one for every 32 KB that the
// resumer has on its C stack.
[[nodiscard, gnu::always_inline]] inline unsigned depth_above(const carrier& here) noexcept {
  constexpr std::size_t level = std::size_t{32} << 10;
  const auto* start = static_cast<const char*>(here.stack.start());
  const auto* now = static_cast<const char*>(__builtin_frame_address(0));
  const std::size_t used = start != nullptr ? static_cast<std::size_t>(start - now) : 0;
  return here.depth + 1 + static_cast<unsigned>(used / level);
}

}  // namespace luacoro
